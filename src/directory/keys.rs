//! The secret keys of a directory, in DATA/keys.

use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::OpenError;
use super::open::io_error;
use crate::domain::RequestMac;
use crate::journal::file;

/// The key under which the contents of repeatable requests are digested.
///
/// It stands apart from journal and keyspace, so that neither a backup nor a stolen journal allows
/// guessing the passwords that were part of requests.
pub(super) struct RequestKey(Zeroizing<[u8; 32]>);

impl RequestKey {
    /// Makes the key of a new directory, unless an earlier attempt has made it.
    pub(super) fn create(dir: &Path) -> Result<Self, OpenError> {
        let keys = dir.join("keys");
        file::create_private_dir(&keys).map_err(io_error("create", &keys))?;
        let path = path(dir);
        match read(&path) {
            Ok(Some(key)) => Ok(key),
            Ok(None) | Err(_) => make(&path),
        }
    }

    /// Reads the key of a directory. An empty file asks for a new one.
    ///
    /// # Errors
    ///
    /// [`OpenError::Key`] if it is missing or damaged, and how to go on without it.
    pub(super) fn open(dir: &Path) -> Result<Self, OpenError> {
        let path = path(dir);
        match std::fs::metadata(&path) {
            Ok(metadata) if metadata.len() == 0 => {
                tracing::warn!("keys/request.key is empty; a new key is made");
                make(&path)
            }
            Ok(_) => match read(&path) {
                Ok(Some(key)) => Ok(key),
                Ok(None) => Err(OpenError::Key { path, found: "is damaged" }),
                Err(error) => Err(io_error("read", &path)(error)),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(OpenError::Key { path, found: "is missing" })
            }
            Err(error) => Err(io_error("read", &path)(error)),
        }
    }

    /// The keyed digest (BLAKE3 in its keyed mode, a MAC) of a request's content.
    pub(super) fn mac(&self, content: &[u8]) -> RequestMac {
        *blake3::keyed_hash(&self.0, content).as_bytes()
    }
}

impl std::fmt::Debug for RequestKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RequestKey")
    }
}

fn path(dir: &Path) -> PathBuf {
    dir.join("keys").join("request.key")
}

fn make(path: &Path) -> Result<RequestKey, OpenError> {
    let mut key = Zeroizing::new([0; 32]);
    getrandom::fill(key.as_mut())
        .map_err(|error| io_error("make", path)(io::Error::other(error)))?;
    let mut bytes = Zeroizing::new(key.to_vec());
    bytes.extend(crc32c::crc32c(key.as_ref()).to_le_bytes());
    file::replace(path, &bytes).map_err(io_error("write", path))?;
    Ok(RequestKey(key))
}

/// Reads a key and its checksum; `None` if they do not agree.
fn read(path: &Path) -> io::Result<Option<RequestKey>> {
    let bytes = Zeroizing::new(std::fs::read(path)?);
    let Some((content, crc)) = bytes.split_last_chunk::<4>() else { return Ok(None) };
    let sound = crc32c::crc32c(content) == u32::from_le_bytes(*crc);
    Ok(<[u8; 32]>::try_from(content).ok().filter(|_| sound).map(|key| RequestKey(key.into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_lasts_and_a_missing_or_damaged_one_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(RequestKey::open(dir.path()), Err(OpenError::Key { .. })));
        let mac = RequestKey::create(dir.path()).unwrap().mac(b"content");
        assert_eq!(RequestKey::create(dir.path()).unwrap().mac(b"content"), mac);
        assert_eq!(RequestKey::open(dir.path()).unwrap().mac(b"content"), mac);
        assert_ne!(RequestKey::open(dir.path()).unwrap().mac(b"Content"), mac);

        let path = path(dir.path());
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[7] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert!(matches!(RequestKey::open(dir.path()), Err(OpenError::Key { .. })));
        std::fs::write(&path, b"").unwrap();
        assert_ne!(RequestKey::open(dir.path()).unwrap().mac(b"content"), mac);
    }
}
