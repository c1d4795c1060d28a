//! Opens a data directory: makes a new one, or recovers what the last run left.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tokio::sync::{Semaphore, mpsc};
use uuid::Uuid;

use super::keys::RequestKey;
use super::upkeep::Upkeep;
use super::writer::Writer;
use super::{
    BULK_SUBMISSIONS_MAX, Closing, Directory, LockedDir, QUEUE_MAX, Shared, format, recovery,
};
use crate::domain::{DirectoryId, Revision};
use crate::fatal;
use crate::journal::{Journal, JournalError, LastStop, SEGMENT_BYTES, file};
use crate::keyspace::{Keyspace, KeyspaceError};

/// How to open a directory.
#[derive(Clone, Debug)]
pub struct Options {
    /// The rosterd program, which recovers a keyspace after an unclean stop in a process of its own.
    pub recoverer: PathBuf,
    /// Bytes of memory for the cache of the store.
    pub cache_bytes: u64,
    /// Bytes of a journal segment.
    pub segment_bytes: u64,
}

impl Options {
    /// Options with this program, this cache, and segments of the usual size.
    pub fn new(recoverer: PathBuf, cache_bytes: u64) -> Self {
        Self { recoverer, cache_bytes, segment_bytes: SEGMENT_BYTES }
    }
}

/// Why a directory did not open. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error(
        "data directory {} is in use by rosterd with pid {pid} ({addresses}); stop that one, or \
         choose another directory with --data-dir",
        dir.display()
    )]
    Locked {
        /// The directory.
        dir: PathBuf,
        /// The process.
        pid: String,
        /// Where it listens.
        addresses: String,
    },
    /// A layout of another version of rosterd.
    #[error(
        "{} says format {found}, and this rosterd knows format {supported}; start the version of \
         rosterd that wrote it, or a newer one",
        path.display()
    )]
    Format {
        /// The FORMAT file.
        path: PathBuf,
        /// The format it names.
        found: u32,
        /// The format of this program.
        supported: u32,
    },
    /// Emails are indexed in another form.
    #[error(
        "the emails of this directory are indexed in canonical form {found}, and this rosterd knows \
         form {supported}; start the version of rosterd that wrote it"
    )]
    CanonicalForm {
        /// The form of the directory.
        found: u32,
        /// The form of this program.
        supported: u32,
    },
    /// A key is not what it was.
    #[error(
        "{} {found}; put it back from a copy, or make an empty file of that name to get a new key: \
         then requests repeated from before with their request_id are refused as reused",
        path.display()
    )]
    Key {
        /// The key file.
        path: PathBuf,
        /// What is wrong with it.
        found: &'static str,
    },
    /// A file that only other files could replace.
    #[error("{} is damaged: {found}; put it back from a copy of the data directory", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        found: &'static str,
    },
    /// The journal cannot be used.
    #[error("{0}; nothing was changed. Put the journal back from a copy of the data directory")]
    Journal(#[from] JournalError),
    /// The keyspace cannot be used or rebuilt.
    #[error("{0}")]
    Keyspace(#[from] KeyspaceError),
    /// The keyspace knows of changes that the journal does not have.
    #[error(
        "the keyspace holds revision {keyspace}, but the journal ends at {journal}: the end of the \
         journal is lost. Put the journal back from a copy of the data directory"
    )]
    JournalBehind {
        /// The revision of the keyspace.
        keyspace: Revision,
        /// The last revision of the journal.
        journal: Revision,
    },
    /// The process that recovers the keyspace failed.
    #[error("the keyspace could not be recovered: {0}")]
    Recovery(String),
    /// The operating system refused something.
    #[error(
        "cannot {what} {}: {source}; check that the data directory exists, belongs to the user that \
         rosterd runs as, and has room",
        path.display()
    )]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// What came back.
        source: io::Error,
    },
}

/// What kind of thing stands in the way of opening a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// Another process has it.
    Lock,
    /// It is for another version of rosterd, or misses what an operator has to provide.
    Format,
    /// The disk refused, or what is on it is damaged.
    Disk,
}

impl OpenError {
    /// What kind of thing stands in the way.
    pub fn obstacle(&self) -> Obstacle {
        match self {
            Self::Locked { .. } | Self::Keyspace(KeyspaceError::Locked) => Obstacle::Lock,
            Self::Format { .. } | Self::CanonicalForm { .. } | Self::Key { .. } => Obstacle::Format,
            Self::Damaged { .. }
            | Self::Journal(_)
            | Self::Keyspace(_)
            | Self::JournalBehind { .. }
            | Self::Recovery(_)
            | Self::Io { .. } => Obstacle::Disk,
        }
    }
}

/// Says what was tried with which file when an error came back.
pub(super) fn io_error(what: &'static str, path: &Path) -> impl Fn(io::Error) -> OpenError {
    move |source| OpenError::Io { what, path: path.to_owned(), source }
}

impl LockedDir {
    /// Opens the directory: makes a new one in an empty folder, otherwise recovers what the last run
    /// left. After an unclean stop this takes time in proportion to what was written since the last
    /// checkpoint; a keyspace that must be rebuilt takes longer.
    ///
    /// # Errors
    ///
    /// [`OpenError`] says what is wrong and what can be done. Nothing was lost by trying.
    pub fn open(self, options: &Options) -> Result<Directory, OpenError> {
        let (id, request_key, mut journal, stop) = match format::read(self.path())? {
            Some(id) => self.existing(id, options)?,
            None => self.create(options)?,
        };
        recovery::recover(&self, &journal, stop, options)?;
        fatal::mark_on_stop(self.suspect());
        let suspect = self.suspect();
        let opened = self.open_recovered(options, &mut journal);
        let keyspace = opened.inspect_err(|_| fatal::forget_mark(&suspect))?;
        self.serve(id, request_key, journal, keyspace, options)
    }

    fn open_recovered(
        &self,
        options: &Options,
        journal: &mut Journal,
    ) -> Result<Keyspace, OpenError> {
        let keyspace = self.open_keyspace(options)?;
        recovery::replay(&keyspace, &self.journal(), journal.position().revision)?;
        journal.settle().map_err(io_error("write", &self.journal()))?;
        Ok(keyspace)
    }

    /// Starts the threads of an open directory.
    fn serve(
        self,
        id: DirectoryId,
        request_key: RequestKey,
        journal: Journal,
        keyspace: Keyspace,
        options: &Options,
    ) -> Result<Directory, OpenError> {
        let dir = Arc::new(self);
        let path = dir.path().to_owned();
        let thread = io_error("start a thread for", &path);
        let keyspace = Arc::new(keyspace);
        let checkpoint = keyspace.checkpoint().unwrap_or(Revision::ZERO);
        let applied = journal.position().revision;
        let upkeep = Upkeep::start(Arc::clone(&keyspace), checkpoint, applied, Arc::clone(&dir))
            .map_err(&thread)?;
        let (commands, receiver) = mpsc::channel(QUEUE_MAX);
        let (writing, progress) = (Arc::clone(&keyspace), upkeep.progress());
        let writer = Writer::new(writing, journal, progress, Arc::clone(&dir));
        let writer = writer.start(receiver).map_err(&thread)?;
        let closing = Closing { writer, upkeep, cache_bytes: options.cache_bytes, dir };
        let shared = Shared {
            id,
            keyspace,
            request_key,
            commands,
            bulk: Arc::new(Semaphore::new(BULK_SUBMISSIONS_MAX)),
            closing: Mutex::new(Some(closing)),
        };
        Ok(Directory { shared: Arc::new(shared) })
    }

    /// Opens a keyspace that was closed or recovered. If it is damaged all the same, this process
    /// can trust no store any more, and the next one has to rebuild it.
    fn open_keyspace(&self, options: &Options) -> Result<Keyspace, OpenError> {
        Keyspace::open(&self.keyspace(), options.cache_bytes)
            .inspect_err(|error| {
                if matches!(error, KeyspaceError::Damaged(_)) {
                    // If this cannot be written, the next start finds the damage again.
                    let _ = std::fs::write(self.suspect(), error.to_string());
                }
            })
            .map_err(OpenError::from)
    }

    fn existing(
        &self,
        id: DirectoryId,
        options: &Options,
    ) -> Result<(DirectoryId, RequestKey, Journal, LastStop), OpenError> {
        let key = RequestKey::open(self.path())?;
        let (journal, stop) = Journal::recover(&self.journal(), id, options.segment_bytes)?;
        Ok((id, key, journal, stop))
    }

    /// Makes a new directory. FORMAT comes last: until then, the next start begins anew.
    fn create(
        &self,
        options: &Options,
    ) -> Result<(DirectoryId, RequestKey, Journal, LastStop), OpenError> {
        let id = DirectoryId::new(Uuid::new_v4());
        let key = RequestKey::create(self.path())?;
        let journal = Journal::create(&self.journal(), id, options.segment_bytes)
            .map_err(io_error("create", &self.journal()))?;
        format::write(self.path(), id).map_err(io_error("write FORMAT in", self.path()))?;
        let parent = self.path().parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        file::sync_dir(parent).map_err(io_error("sync", parent))?;
        Ok((id, key, journal, LastStop::Clean))
    }
}
