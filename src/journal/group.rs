//! A group: the changes that one fdatasync covers, and how they stand in a frame.
//!
//! Version byte 1, then bincode with variable-length integers. A new field makes a new version with
//! a struct of its own; old versions stay readable for ever.

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bincode::{BorrowDecode, Encode};

use crate::domain::{
    Actor, Change, ChangeKind, Edit, Revision, Tally, Timestamp, Totals, Tree, UserId,
};

/// The most bytes of a group that is written. The writer stays well below; see `Frame::encode`.
pub(super) const GROUP_BYTES_MAX: usize = 4 << 20;

/// The most bytes, as stored and as decoded, of a group that is read. A corrupt length beyond it is
/// refused before anything is allocated for it.
pub(super) const GROUP_READ_MAX: usize = 8 * GROUP_BYTES_MAX;

const VERSION: u8 = 1;

const CONFIG: Configuration<LittleEndian, Varint, Limit<GROUP_READ_MAX>> =
    bincode::config::standard().with_limit::<GROUP_READ_MAX>();

/// The changes of one commit, in the order of their revisions, and what the directory adds up to
/// after them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The changes; never empty in a frame.
    pub changes: Vec<Change>,
    /// Counts and set-hashes after the last change.
    pub totals: Totals,
}

#[derive(Encode, BorrowDecode)]
struct GroupV1<'a> {
    totals: [TallyV1; 3],
    changes: Vec<ChangeV1<'a>>,
}

/// Count and set-hash of one tree.
#[derive(Clone, Copy, Encode, BorrowDecode)]
pub(super) struct TallyV1 {
    count: u64,
    hash: [u8; 16],
}

#[derive(Encode, BorrowDecode)]
struct ChangeV1<'a> {
    revision: u64,
    at: i64,
    actor: &'a str,
    kind: KindV1<'a>,
    edits: Vec<EditV1<'a>>,
}

#[derive(Encode, BorrowDecode)]
enum KindV1<'a> {
    Created([u8; 16]),
    Updated([u8; 16], Vec<&'a str>),
    Deleted([u8; 16], &'a [u8]),
    Upkeep,
}

#[derive(Encode, BorrowDecode)]
struct EditV1<'a> {
    tree: u8,
    key: &'a [u8],
    value: Option<&'a [u8]>,
}

/// Why bytes are no group: they passed their checksum, so this is a bug or a newer version.
#[derive(Debug, thiserror::Error)]
pub enum GroupError {
    /// A version that this program does not know.
    #[error("group version {0} is not known to this program")]
    Version(u8),
    /// The content does not decode.
    #[error("group does not decode: {0}")]
    Content(#[from] bincode::error::DecodeError),
    /// A tree or a user id that cannot be.
    #[error("group holds an impossible {0}")]
    Impossible(&'static str),
    /// No byte at all.
    #[error("group is empty")]
    Empty,
}

impl Group {
    /// Appends the encoded group to `bytes`.
    pub(super) fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.push(VERSION);
        let group = GroupV1 {
            totals: encode_totals(&self.totals),
            changes: self.changes.iter().map(ChangeV1::from).collect(),
        };
        #[allow(clippy::expect_used)]
        bincode::encode_into_std_write(group, bytes, CONFIG)
            .expect("writing to a Vec does not fail, and the limit applies to decoding only");
    }

    /// Reads a group; all bytes must be used.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, GroupError> {
        let (&version, content) = bytes.split_first().ok_or(GroupError::Empty)?;
        if version != VERSION {
            return Err(GroupError::Version(version));
        }
        let (group, used): (GroupV1<'_>, usize) =
            bincode::borrow_decode_from_slice(content, CONFIG)?;
        if used != content.len() {
            return Err(GroupError::Impossible("trailing bytes"));
        }
        let changes: Result<Vec<Change>, GroupError> =
            group.changes.into_iter().map(Change::try_from).collect();
        Ok(Self { changes: changes?, totals: decode_totals(group.totals) })
    }
}

pub(super) fn encode_totals(totals: &Totals) -> [TallyV1; 3] {
    [totals.users, totals.credentials, totals.requests]
        .map(|tally| TallyV1 { count: tally.count, hash: tally.hash.to_le_bytes() })
}

pub(super) fn decode_totals(tallies: [TallyV1; 3]) -> Totals {
    let [users, credentials, requests] =
        tallies.map(|tally| Tally { count: tally.count, hash: u128::from_le_bytes(tally.hash) });
    Totals { users, credentials, requests }
}

impl<'a> From<&'a Change> for ChangeV1<'a> {
    fn from(change: &'a Change) -> Self {
        Self {
            revision: change.revision.get(),
            at: change.at.micros(),
            actor: change.actor.as_str(),
            kind: match &change.kind {
                ChangeKind::Created(id) => KindV1::Created(*id.as_bytes()),
                ChangeKind::Updated { id, fields } => {
                    KindV1::Updated(*id.as_bytes(), fields.iter().map(String::as_str).collect())
                }
                ChangeKind::Deleted { id, last } => KindV1::Deleted(*id.as_bytes(), last),
                ChangeKind::Upkeep => KindV1::Upkeep,
            },
            edits: change
                .edits
                .iter()
                .map(|edit| EditV1 {
                    tree: tree_number(edit.tree),
                    key: &edit.key,
                    value: edit.value.as_deref(),
                })
                .collect(),
        }
    }
}

impl TryFrom<ChangeV1<'_>> for Change {
    type Error = GroupError;

    fn try_from(change: ChangeV1<'_>) -> Result<Self, GroupError> {
        let edits: Result<Vec<Edit>, GroupError> = change
            .edits
            .into_iter()
            .map(|edit| {
                Ok(Edit {
                    tree: tree_of(edit.tree)?,
                    key: edit.key.to_vec(),
                    value: edit.value.map(<[u8]>::to_vec),
                })
            })
            .collect();
        Ok(Self {
            revision: Revision::new(change.revision),
            at: Timestamp::from_micros(change.at),
            actor: Actor::new(change.actor.to_owned()),
            kind: match change.kind {
                KindV1::Created(id) => ChangeKind::Created(user_id(id)),
                KindV1::Updated(id, fields) => ChangeKind::Updated {
                    id: user_id(id),
                    fields: fields.into_iter().map(str::to_owned).collect(),
                },
                KindV1::Deleted(id, last) => {
                    ChangeKind::Deleted { id: user_id(id), last: last.to_vec() }
                }
                KindV1::Upkeep => ChangeKind::Upkeep,
            },
            edits: edits?,
        })
    }
}

fn user_id(bytes: [u8; 16]) -> UserId {
    UserId::new(uuid::Uuid::from_bytes(bytes))
}

const fn tree_number(tree: Tree) -> u8 {
    match tree {
        Tree::Users => 1,
        Tree::Emails => 2,
        Tree::Credentials => 3,
        Tree::Requests => 4,
    }
}

fn tree_of(number: u8) -> Result<Tree, GroupError> {
    Tree::ALL
        .into_iter()
        .find(|tree| tree_number(*tree) == number)
        .ok_or(GroupError::Impossible("tree"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Group {
        let id = user_id([7; 16]);
        let edits = vec![
            Edit { tree: Tree::Users, key: vec![7; 16], value: Some(b"record".to_vec()) },
            Edit { tree: Tree::Emails, key: b"ada@example.org".to_vec(), value: None },
        ];
        let kinds = [
            ChangeKind::Created(id),
            ChangeKind::Updated { id, fields: vec!["email".to_owned()] },
            ChangeKind::Deleted { id, last: b"record".to_vec() },
            ChangeKind::Upkeep,
        ];
        let changes = (1u32..).zip(kinds).map(|(revision, kind)| Change {
            revision: Revision::new(revision.into()),
            at: Timestamp::from_micros(1_790_000_000_000_000),
            actor: Actor::anonymous(),
            kind,
            edits: edits.clone(),
        });
        let users = Tally { count: 1, hash: 1 << 100 };
        Group { changes: changes.collect(), totals: Totals { users, ..Totals::default() } }
    }

    #[test]
    fn a_group_reads_back_as_it_was_written() {
        let mut bytes = Vec::new();
        sample().encode(&mut bytes);
        assert_eq!(Group::decode(&bytes).unwrap(), sample());
    }

    /// The bytes of version 1, for ever: if this breaks, old journals have become unreadable.
    #[test]
    fn version_1_has_golden_bytes() {
        let mut bytes = Vec::new();
        sample().encode(&mut bytes);
        assert_eq!(bytes[0], 1);
        assert_eq!(blake3::hash(&bytes).to_hex()[..16], *"377b3aa4d088aec7");
    }

    #[test]
    fn bytes_that_are_no_group_are_refused() {
        let mut bytes = Vec::new();
        sample().encode(&mut bytes);
        assert!(Group::decode(&[]).is_err());
        assert!(Group::decode(&[9]).is_err());
        assert!(Group::decode(&[&bytes[..], &[0]].concat()).is_err());
        for cut in 1..bytes.len() {
            assert!(Group::decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
    }
}
