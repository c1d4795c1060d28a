//! Proves the promises of a stopped directory: reads everything and compares it with itself.

use std::path::Path;

use super::{LockedDir, OpenError, format};
use crate::domain::{Revision, Totals};
use crate::journal::{Groups, Journal, JournalError};
use crate::keyspace::{Finding, Keyspace, KeyspaceError};

/// Why a directory could not be checked, or what is wrong with it.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// It cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Its journal is damaged.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Its keyspace cannot be opened.
    #[error(transparent)]
    Keyspace(#[from] KeyspaceError),
    /// There is no directory.
    #[error("there is no directory in this folder")]
    Missing,
    /// It was not closed, so that a start has to recover it first.
    #[error("the keyspace stands at revision {keyspace}, the journal at {journal}")]
    NotClosed {
        /// Where the keyspace stands.
        keyspace: Revision,
        /// Where the journal stands.
        journal: Revision,
    },
    /// Invariants of the keyspace are broken.
    #[error("{} findings, first: {}", .0.len(), .0[0])]
    Findings(Vec<Finding>),
}

/// Reads the whole journal and the whole keyspace of a stopped directory and proves every invariant
/// (see `journal` and `keyspace`). Returns what the directory adds up to.
///
/// # Errors
///
/// [`CheckError`] says what is wrong first.
pub fn check(path: &Path) -> Result<(Revision, Totals), CheckError> {
    let dir = LockedDir::lock(path)?;
    if format::read(path)?.is_none() {
        return Err(CheckError::Missing);
    }
    let mut position = (Revision::ZERO, Totals::default());
    for group in Groups::after(&dir.journal(), Journal::first_revision(&dir.journal())?)? {
        let group = group?;
        if let Some(last) = group.changes.last() {
            position = (last.revision, group.totals);
        }
    }
    let keyspace = Keyspace::open(&dir.keyspace(), 32 << 20)?;
    let at = keyspace.checkpoint().map_err(|e| KeyspaceError::Damaged(e.to_string()))?;
    if at != position.0 {
        return Err(CheckError::NotClosed { keyspace: at, journal: position.0 });
    }
    let findings = keyspace.verify(&position.1);
    if findings.is_empty() { Ok(position) } else { Err(CheckError::Findings(findings)) }
}
