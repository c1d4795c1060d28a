//! The FORMAT file: which layout a data directory has, and which directory it is.
//!
//! Text, so that an operator can read it: the format number first, whatever comes after it in later
//! versions. It is written last when a directory is made, so that its presence means a whole one.

use std::io;
use std::path::{Path, PathBuf};

use super::OpenError;
use super::open::io_error;
use crate::domain::{CANONICAL_FORM, DirectoryId};
use crate::journal::{self, Journal};

/// The layout that this program reads and writes.
const FORMAT: u32 = 1;

fn path(dir: &Path) -> PathBuf {
    dir.join("FORMAT")
}

/// Reads which directory this is; `None` if there is none yet.
///
/// # Errors
///
/// A newer format, another canonical form, or damage that the journal does not help with.
pub(super) fn read(dir: &Path) -> Result<Option<DirectoryId>, OpenError> {
    let path = path(dir);
    let text = match std::fs::read(&path) {
        Ok(bytes) => String::from_utf8(bytes).unwrap_or_default(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return lost(dir),
        Err(error) => return Err(io_error("read", &path)(error)),
    };
    if let Some(found) = number(&text, "rosterd").filter(|found| *found != FORMAT) {
        return Err(OpenError::Format { path, found, supported: FORMAT });
    }
    let Some((directory, canonical_form)) = decode(&text) else {
        let Some(directory) = Journal::directory_of(&dir.join("journal")) else {
            return Err(OpenError::Damaged { path, found: "it fails its checksum" });
        };
        tracing::warn!("FORMAT is damaged; it is made anew from the journal");
        write(dir, directory).map_err(io_error("write", &path))?;
        return Ok(Some(directory));
    };
    if canonical_form != CANONICAL_FORM {
        return Err(OpenError::CanonicalForm { found: canonical_form, supported: CANONICAL_FORM });
    }
    Ok(Some(directory))
}

/// What it means that there is no FORMAT file.
fn lost(dir: &Path) -> Result<Option<DirectoryId>, OpenError> {
    let journal = dir.join("journal");
    if !journal::holds_changes(&journal).map_err(io_error("read", &journal))? {
        if dir.join("keyspace").join("db").exists() && !journal.exists() {
            let found = "it is gone, but there is a keyspace";
            return Err(OpenError::Damaged { path: journal, found });
        }
        return Ok(None);
    }
    let Some(directory) = Journal::directory_of(&journal) else {
        let found = "it is gone, and the journal does not say which directory this is";
        return Err(OpenError::Damaged { path: path(dir), found });
    };
    tracing::warn!("FORMAT is gone; it is made anew from the journal");
    write(dir, directory).map_err(io_error("write", &path(dir)))?;
    Ok(Some(directory))
}

/// Writes the file, durably.
pub(super) fn write(dir: &Path, directory: DirectoryId) -> io::Result<()> {
    journal::file::replace(&path(dir), encode(directory).as_bytes())
}

fn encode(directory: DirectoryId) -> String {
    let text =
        format!("rosterd {FORMAT}\ndirectory {directory}\ncanonical-form {CANONICAL_FORM}\n");
    let crc = crc32c::crc32c(text.as_bytes());
    text + &format!("crc32c {crc:08x}\n")
}

fn decode(text: &str) -> Option<(DirectoryId, u32)> {
    let (content, crc) = text.split_once("crc32c ")?;
    if format!("{:08x}\n", crc32c::crc32c(content.as_bytes())) != crc {
        return None;
    }
    let directory = content.lines().find_map(|line| line.strip_prefix("directory "))?;
    Some((DirectoryId::parse(directory)?, number(content, "canonical-form")?))
}

fn number(text: &str, key: &str) -> Option<u32> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_reads_back_and_notices_damage() {
        let id = DirectoryId::parse("0190a6a2-5b5f-7000-8000-0123456789ab").unwrap();
        let text = encode(id);
        assert_eq!(decode(&text), Some((id, CANONICAL_FORM)));
        assert_eq!(decode(&text.replace("0190", "0191")), None);
        assert_eq!(decode(""), None);
    }

    #[test]
    fn a_newer_format_is_named() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(path(dir.path()), "rosterd 99\nwhatever that means\n").unwrap();
        let error = read(dir.path()).unwrap_err();
        assert!(matches!(error, OpenError::Format { found: 99, .. }), "{error}");
    }
}
