//! The values of the trees: versioned records with a checksum.
//!
//! A version byte, then bincode with variable-length integers, then crc32c over key, version and
//! content, so that a value under the wrong key is noticed too. A new field makes a new version
//! with a struct of its own; old versions stay readable for ever. Decoding must use every byte.

use std::collections::BTreeMap;

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bincode::{BorrowDecode, Encode};

use crate::domain::{
    Attributes, Credential, Email, Error, Name, Outcome, RequestId, RequestMac, Revision,
    Timestamp, User, UserId, UserStatus,
};

/// The most bytes of a record: a user's, and around it a request's. A corrupt length beyond it is
/// refused before anything is allocated for it.
const RECORD_LIMIT: usize = 16 * 1024;

const VERSION: u8 = 1;
const CHECKSUM_BYTES: usize = 4;

const CONFIG: Configuration<LittleEndian, Varint, Limit<RECORD_LIMIT>> =
    bincode::config::standard().with_limit::<RECORD_LIMIT>();

/// Why bytes are no record.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The checksum does not match: the bytes changed after they were written.
    #[error("record fails its checksum")]
    Checksum,
    /// A version that this program does not know.
    #[error("record version {0} is not known to this program")]
    Version(u8),
    /// The content does not decode.
    #[error("record does not decode: {0}")]
    Content(#[from] bincode::error::DecodeError),
    /// An entry that another entry says exists does not.
    #[error("an entry is missing")]
    Missing,
    /// Content that cannot be.
    #[error("record holds an impossible {0}")]
    Impossible(&'static str),
}

#[derive(Encode, BorrowDecode)]
struct UserV1<'a> {
    email: &'a str,
    canonical: &'a str,
    name: &'a str,
    status: u8,
    created_at: i64,
    updated_at: i64,
    revision: u64,
    attributes: Vec<(&'a str, &'a str)>,
}

#[derive(Encode, BorrowDecode)]
struct RequestV1<'a> {
    mac: RequestMac,
    at: i64,
    /// The id and the record of the user that was answered.
    user: Option<([u8; 16], &'a [u8])>,
}

#[derive(Encode, BorrowDecode)]
struct AgeV1<'a> {
    request: &'a [u8],
    at: i64,
}

/// The first answer to a request that may be repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The digest of what was asked.
    pub mac: RequestMac,
    /// When, by directory time.
    pub at: Timestamp,
    /// What was answered.
    pub outcome: Outcome,
}

impl Answer {
    /// What was answered, if this request is a repetition of the one that it was an answer to.
    ///
    /// # Errors
    ///
    /// [`Error::RequestIdReused`] if the request has other content.
    pub fn to(self, request: &RequestId) -> Result<Outcome, Error> {
        if self.mac == request.mac { Ok(self.outcome) } else { Err(Error::RequestIdReused) }
    }
}

/// Encodes a user, to stand under its id.
pub fn encode_user(user: &User) -> Vec<u8> {
    let record = UserV1 {
        email: user.email.address(),
        canonical: user.email.canonical().as_str(),
        name: user.name.as_str(),
        status: match user.status {
            UserStatus::Active => 1,
            UserStatus::Inactive => 2,
        },
        created_at: user.created_at.micros(),
        updated_at: user.updated_at.micros(),
        revision: user.revision.get(),
        attributes: user.attributes.iter().collect(),
    };
    seal(user.id.as_bytes(), record)
}

/// Decodes the user that stands under an id.
pub fn decode_user(id: UserId, bytes: &[u8]) -> Result<User, RecordError> {
    let record: UserV1<'_> = unseal(id.as_bytes(), bytes)?;
    let attributes: BTreeMap<String, String> =
        record.attributes.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
    Ok(User {
        id,
        email: Email::from_record(record.email.to_owned(), record.canonical.to_owned()),
        name: Name::from_record(record.name.to_owned()),
        status: match record.status {
            1 => UserStatus::Active,
            2 => UserStatus::Inactive,
            _ => return Err(RecordError::Impossible("status")),
        },
        attributes: Attributes::from_record(attributes),
        created_at: Timestamp::from_micros(record.created_at),
        updated_at: Timestamp::from_micros(record.updated_at),
        revision: Revision::new(record.revision),
    })
}

/// Encodes an entry of the email index, to stand under its canonical email.
pub fn encode_id(email: &[u8], id: UserId) -> Vec<u8> {
    seal(email, *id.as_bytes())
}

/// Decodes the entry of the email index that stands under a canonical email.
pub fn decode_id(email: &[u8], bytes: &[u8]) -> Result<UserId, RecordError> {
    unseal(email, bytes).map(|id: [u8; 16]| UserId::new(uuid::Uuid::from_bytes(id)))
}

/// Encodes a credential, to stand under its user's id.
pub fn encode_credential(id: UserId, credential: &Credential) -> Vec<u8> {
    seal(id.as_bytes(), credential.as_str())
}

/// Decodes the credential that stands under a user's id.
pub fn decode_credential(id: UserId, bytes: &[u8]) -> Result<Credential, RecordError> {
    unseal(id.as_bytes(), bytes).map(|phc: &str| Credential::new(phc.to_owned()))
}

/// Encodes an answer, to stand under its request's key.
pub fn encode_answer(key: &[u8], answer: &Answer) -> Vec<u8> {
    let user = answer.outcome.as_ref().map(|user| (*user.id.as_bytes(), encode_user(user)));
    let user = user.as_ref().map(|(id, record)| (*id, record.as_slice()));
    seal(key, RequestV1 { mac: answer.mac, at: answer.at.micros(), user })
}

/// Decodes the answer that stands under a request's key.
pub fn decode_answer(key: &[u8], bytes: &[u8]) -> Result<Answer, RecordError> {
    let record: RequestV1<'_> = unseal(key, bytes)?;
    let outcome = match record.user {
        Some((id, bytes)) => Some(decode_user(UserId::new(uuid::Uuid::from_bytes(id)), bytes)?),
        None => None,
    };
    Ok(Answer { mac: record.mac, at: Timestamp::from_micros(record.at), outcome })
}

/// Encodes an age, to stand under its key: which request it is of, and when that was answered.
pub fn encode_age(key: &[u8], request: &[u8], at: Timestamp) -> Vec<u8> {
    seal(key, AgeV1 { request, at: at.micros() })
}

/// Decodes the age that stands under a key.
pub fn decode_age(key: &[u8], bytes: &[u8]) -> Result<(Vec<u8>, Timestamp), RecordError> {
    let record: AgeV1<'_> = unseal(key, bytes)?;
    Ok((record.request.to_vec(), Timestamp::from_micros(record.at)))
}

/// Encodes a number of the meta tree, to stand under its name.
pub(super) fn encode_number(name: &str, number: u64) -> Vec<u8> {
    seal(name.as_bytes(), number)
}

/// Decodes the number that stands under a name in the meta tree.
pub(super) fn decode_number(name: &str, bytes: &[u8]) -> Result<u64, RecordError> {
    unseal(name.as_bytes(), bytes)
}

fn seal(key: &[u8], content: impl Encode) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    bytes.push(VERSION);
    #[allow(clippy::expect_used)]
    bincode::encode_into_std_write(content, &mut bytes, CONFIG)
        .expect("writing to a Vec does not fail, and the limit applies to decoding only");
    let crc = checksum(key, &bytes);
    bytes.extend(crc.to_le_bytes());
    bytes
}

/// Checks that the value under a key is as it was written.
pub fn check_value(key: &[u8], bytes: &[u8]) -> Result<(), RecordError> {
    open_seal(key, bytes).map(|_| ())
}

fn unseal<'a, T: BorrowDecode<'a, ()>>(key: &[u8], bytes: &'a [u8]) -> Result<T, RecordError> {
    let record = open_seal(key, bytes)?;
    let (&version, content) = record.split_first().ok_or(RecordError::Checksum)?;
    if version != VERSION {
        return Err(RecordError::Version(version));
    }
    let (record, used) = bincode::borrow_decode_from_slice(content, CONFIG)?;
    if used != content.len() {
        return Err(RecordError::Impossible("trailing bytes"));
    }
    Ok(record)
}

/// The record within a value whose checksum matches.
fn open_seal<'a>(key: &[u8], bytes: &'a [u8]) -> Result<&'a [u8], RecordError> {
    let (record, crc) = bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or(RecordError::Checksum)?;
    let matches = checksum(key, record) == u32::from_le_bytes(*crc);
    matches.then_some(record).ok_or(RecordError::Checksum)
}

fn checksum(key: &[u8], record: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(key), record)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user() -> User {
        let attributes = [("team", "analysts"), ("", "é")];
        User {
            id: UserId::parse("0190a6a2-5b5f-7000-8000-0123456789ab").unwrap(),
            email: Email::parse("Ada@Bücher.example").unwrap(),
            name: Name::parse("Ada Lovelace").unwrap(),
            status: UserStatus::Inactive,
            attributes: Attributes::from_record(
                attributes.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            ),
            created_at: Timestamp::from_micros(1_790_000_000_000_000),
            updated_at: Timestamp::from_micros(1_790_000_000_000_001),
            revision: Revision::new(300),
        }
    }

    fn answer() -> Answer {
        Answer { mac: [5; 32], at: Timestamp::from_micros(-1), outcome: Some(user()) }
    }

    #[test]
    fn records_read_back_as_they_were_written() {
        let id = user().id;
        assert_eq!(decode_user(id, &encode_user(&user())).unwrap(), user());
        assert_eq!(decode_id(b"ada@x", &encode_id(b"ada@x", id)).unwrap(), id);
        let credential = Credential::new("$argon2id$".to_owned());
        let bytes = encode_credential(id, &credential);
        assert_eq!(decode_credential(id, &bytes).unwrap(), credential);
        assert_eq!(decode_answer(b"r", &encode_answer(b"r", &answer())).unwrap(), answer());
        let deleted = Answer { outcome: None, ..answer() };
        assert_eq!(decode_answer(b"r", &encode_answer(b"r", &deleted)).unwrap(), deleted);
        let age = encode_age(b"t1", b"r", Timestamp::from_micros(9));
        assert_eq!(decode_age(b"t1", &age).unwrap(), (b"r".to_vec(), Timestamp::from_micros(9)));
        assert_eq!(decode_number("n", &encode_number("n", 1 << 40)).unwrap(), 1 << 40);
    }

    /// The bytes of version 1, for ever: if this breaks, old directories have become unreadable.
    #[test]
    fn version_1_has_golden_bytes() {
        let hex = |bytes: Vec<u8>| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        assert_eq!(
            hex(encode_user(&user())),
            "01134164614042c3bc636865722e6578616d706c651961646140786e2d2d62636865722d6b76612e6578616d706c650c416461204c6f76656c61636502fd00c04bb4fdb70c00fd02c04bb4fdb70c00fb2c01020002c3a9047465616d08616e616c797374736cf14b3d"
        );
        assert_eq!(
            hex(encode_id(b"ada@x", user().id)),
            "010190a6a25b5f700080000123456789abdcd876ac"
        );
        let credential = Credential::new("$argon2id$".to_owned());
        assert_eq!(
            hex(encode_credential(user().id, &credential)),
            "010a246172676f6e32696424496c9a78"
        );
        let deleted = Answer { outcome: None, ..answer() };
        assert_eq!(
            hex(encode_answer(b"r", &deleted)),
            "0105050505050505050505050505050505050505050505050505050505050505050100e788658e"
        );
        assert_eq!(hex(encode_age(b"t1", b"r", Timestamp::from_micros(9))), "01017212bae6c513");
        assert_eq!(hex(encode_number("n", 1 << 40)), "01fd0000000000010000160653a7");
    }

    #[test]
    fn any_flipped_bit_any_cut_and_a_wrong_key_are_noticed() {
        let id = user().id;
        let bytes = encode_user(&user());
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(decode_user(id, &damaged).is_err(), "bit {bit}");
        }
        for cut in 0..bytes.len() {
            assert!(decode_user(id, &bytes[..cut]).is_err(), "cut {cut}");
        }
        assert!(decode_user(UserId::from_bytes(&[0; 16]).unwrap(), &bytes).is_err());
    }
}
