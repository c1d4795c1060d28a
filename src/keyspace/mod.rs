//! The keyspace: the view of the directory that answers queries, and the only folder that knows
//! sled.
//!
//! | tree | key → value | |
//! |---|---|---|
//! | users | id → user | authoritative |
//! | emails | canonical email → id | derived from the users |
//! | credentials | id → password hash | authoritative |
//! | requests | request → first answer; age → request | authoritative |
//! | meta | `checkpoint`, `applied` → revision | about this keyspace alone |
//!
//! Invariants, proved by [`Keyspace::verify`]:
//! 1. Each value passes its checksum, under its key.
//! 2. Each user's canonical email leads to its id in emails, and emails has no other entries.
//! 3. Count and set-hash of each authoritative tree are those of the last applied frame.
//! 4. Everything up to `checkpoint` survives a power cut. It is written after the flush and the
//!    fdatasync that make it true.
//!
//! One writer applies changes with plain puts and removals. A change puts a user before its index
//! entry and removes the index entry before the user, and a lookup by email compares the email of
//! the record it arrives at: so no reader sees half a change, and no lock is needed.
//!
//! sled is not to be trusted after an error or a panic, nor any other sled database in the same
//! process: either ends the process (see `fatal`).

mod keys;
mod record;
mod sync;
mod tally;
mod verify;

use std::fs::{self, File};
use std::io;
use std::ops::Bound;
use std::os::unix::fs::DirBuilderExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use self::keys::{age_key, request_key};
pub use self::record::{
    Answer, RecordError, check_value, decode_age, decode_answer, decode_credential, decode_id,
    decode_user, encode_age, encode_answer, encode_credential, encode_id, encode_user,
};
pub use self::tally::entry_hash;
pub use self::verify::Finding;

use crate::domain::{CanonicalEmail, Change, Revision, Timestamp, Tree, User, UserId};
use crate::fatal;

const CHECKPOINT: &str = "checkpoint";
const APPLIED: &str = "applied";

/// The part of our cache setting that sled gets: its own use is about 1.5 times what it is told.
const SLED_SHARE: (u64, u64) = (6, 10);

/// How long to wait for the lock of the store's file.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);

/// A page of users ends when their records take this many bytes: it bounds what a listing holds.
const PAGE_BYTES: usize = 64 << 10;

/// A value as the store holds it.
pub type Value = sled::IVec;

/// Why a keyspace did not open.
#[derive(Debug, thiserror::Error)]
pub enum KeyspaceError {
    /// Another process has it open.
    #[error("the keyspace is in use by another process")]
    Locked,
    /// The disk answered with an error.
    #[error("the keyspace cannot be read or written: {0}")]
    Io(#[from] io::Error),
    /// The store failed or its content is damaged: it must be rebuilt.
    #[error("the keyspace is damaged: {0}; start again, and it is rebuilt from the journal")]
    Damaged(String),
    /// The program was linked so that the store's syncs are not ours.
    #[error("the sync hook is not in effect in this build, so the store cannot be made durable")]
    NoSyncHook,
}

/// An open keyspace.
#[derive(Debug)]
pub struct Keyspace {
    db: sled::Db,
    users: sled::Tree,
    emails: sled::Tree,
    credentials: sled::Tree,
    requests: sled::Tree,
    meta: sled::Tree,
    path: PathBuf,
    /// Opened before any write, so that it reports every failed write-back since.
    file: File,
}

/// A part of a walk through users.
#[derive(Debug)]
pub struct Page<K> {
    /// The users, in order.
    pub users: Vec<User>,
    /// The last key that was examined, if there may be more after it.
    pub next: Option<K>,
}

impl Keyspace {
    /// Opens the keyspace in a folder, or makes an empty one there.
    ///
    /// # Errors
    ///
    /// [`KeyspaceError`]; after any of them this process should open no other keyspace.
    pub fn open(path: &Path, cache_bytes: u64) -> Result<Self, KeyspaceError> {
        // Whoever may look into it finds emails and password hashes.
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        let began = Instant::now();
        loop {
            match Self::try_open(path, cache_bytes) {
                // Threads of a store that this process has just closed may hold its lock a little
                // longer.
                Err(KeyspaceError::Locked) if began.elapsed() < LOCK_PATIENCE => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                opened => return opened,
            }
        }
    }

    fn try_open(path: &Path, cache_bytes: u64) -> Result<Self, KeyspaceError> {
        let config = sled::Config::new()
            .path(path)
            .cache_capacity(cache_bytes / SLED_SHARE.1 * SLED_SHARE.0)
            .flush_every_ms(Some(500));
        let open = || -> sled::Result<Self> {
            let db = config.open()?;
            Ok(Self {
                users: db.open_tree("users")?,
                emails: db.open_tree("emails")?,
                credentials: db.open_tree("credentials")?,
                requests: db.open_tree("requests")?,
                meta: db.open_tree("meta")?,
                path: path.to_owned(),
                file: File::options().read(true).write(true).open(path.join("db"))?,
                db,
            })
        };
        let keyspace = match catch_unwind(AssertUnwindSafe(open)) {
            Ok(Ok(keyspace)) => keyspace,
            Ok(Err(sled::Error::Io(error))) if is_locked(&error) => {
                return Err(KeyspaceError::Locked);
            }
            Ok(Err(sled::Error::Io(error))) => return Err(KeyspaceError::Io(error)),
            Ok(Err(error)) => return Err(KeyspaceError::Damaged(error.to_string())),
            Err(_) => return Err(KeyspaceError::Damaged("the store panicked".to_owned())),
        };
        if !sync::self_check(&keyspace.file) {
            return Err(KeyspaceError::NoSyncHook);
        }
        synced(sync_creation(path));
        Ok(keyspace)
    }

    /// The revision up to which everything in here survives a power cut.
    pub fn checkpoint(&self) -> Result<Revision, RecordError> {
        self.number(CHECKPOINT)
    }

    /// The revision that was applied last. Without a clean stop, more or less of the changes after
    /// the checkpoint may be missing; it serves to notice a journal that lost its end.
    pub fn applied(&self) -> Result<Revision, RecordError> {
        self.number(APPLIED)
    }

    fn number(&self, name: &str) -> Result<Revision, RecordError> {
        match guard(|| self.meta.get(name)) {
            Some(bytes) => record::decode_number(name, &bytes).map(Revision::new),
            None => Ok(Revision::ZERO),
        }
    }

    fn put_number(&self, name: &str, revision: Revision) {
        guard(|| self.meta.insert(name, record::encode_number(name, revision.get())));
    }

    /// Applies changes, in order. Applying what is already there does no harm.
    pub fn apply(&self, changes: &[Change]) {
        for edit in changes.iter().flat_map(|change| &change.edits) {
            let tree = self.tree(edit.tree);
            guard(|| match &edit.value {
                Some(value) => tree.insert(&edit.key, value.as_slice()),
                None => tree.remove(&edit.key),
            });
        }
        if let Some(last) = changes.last() {
            self.put_number(APPLIED, last.revision);
        }
    }

    /// Makes everything up to `applied` durable, and then says so in the checkpoint. Everything up
    /// to that revision must have been applied before the call.
    ///
    /// A disk that refuses ends the process.
    pub fn make_checkpoint(&self, applied: Revision) {
        guard(|| self.db.flush());
        synced(self.file.sync_data());
        self.put_number(CHECKPOINT, applied);
    }

    /// Makes everything durable and closes the store. A disk that refuses ends the process.
    pub fn close(self, applied: Revision) {
        self.make_checkpoint(applied);
        guard(|| self.db.flush());
        synced(self.file.sync_all());
        let Self { db, users, emails, credentials, requests, meta, path, file } = self;
        let trees = (users, emails, credentials, requests, meta, db);
        if catch_unwind(AssertUnwindSafe(|| drop(trees))).is_err() {
            fatal::stop("the store panicked while it was closed");
        }
        synced(file.sync_all());
        synced(File::open(path).and_then(|folder| folder.sync_all()));
    }

    /// The value of one key.
    pub fn get(&self, tree: Tree, key: &[u8]) -> Option<Value> {
        guard(|| self.tree(tree).get(key))
    }

    /// The user with this id.
    pub fn user(&self, id: UserId) -> Option<User> {
        self.get(Tree::Users, id.as_bytes()).map(|bytes| sound(decode_user(id, &bytes)))
    }

    /// The user with this email.
    pub fn user_by_email(&self, email: &CanonicalEmail) -> Option<User> {
        let bytes = self.get(Tree::Emails, email.as_str().as_bytes())?;
        let id = sound(decode_id(email.as_str().as_bytes(), &bytes));
        self.user(id).filter(|user| user.email.canonical() == email)
    }

    /// Up to `max` users in the order of their ids, from the first one after `after`; fewer if their
    /// records are large.
    pub fn users(&self, after: Option<UserId>, max: usize) -> Page<UserId> {
        let from = after.as_ref().map_or(Bound::Unbounded, |id| Bound::Excluded(id.as_bytes()));
        let mut page = Page { users: Vec::new(), next: None };
        let mut bytes = 0;
        let mut entries = self.users.range::<&[u8; 16], _>((from, Bound::Unbounded));
        while page.users.len() < max && bytes < PAGE_BYTES {
            let Some((key, value)) = guard(|| entries.next().transpose()) else {
                page.next = None;
                break;
            };
            let id = sound(UserId::from_bytes(&key).ok_or(RecordError::Impossible("user id")));
            bytes += value.len();
            page.users.push(sound(decode_user(id, &value)));
            page.next = Some(id);
        }
        page
    }

    /// Up to `max` users whose canonical email begins with `prefix`, in the order of the canonical
    /// emails, from the first one after `after`; fewer if their records are large.
    pub fn users_by_email(&self, prefix: &str, after: Option<&str>, max: usize) -> Page<String> {
        let from = match after {
            Some(email) => Bound::Excluded(email.as_bytes()),
            None => Bound::Included(prefix.as_bytes()),
        };
        let mut page = Page { users: Vec::new(), next: None };
        let mut bytes = 0;
        let mut entries = self.emails.range::<&[u8], _>((from, Bound::Unbounded));
        for _ in 0..max {
            if bytes >= PAGE_BYTES {
                break;
            }
            let entry = guard(|| entries.next().transpose());
            let Some((email, value)) =
                entry.filter(|(email, _)| email.starts_with(prefix.as_bytes()))
            else {
                page.next = None;
                break;
            };
            let id = sound(decode_id(&email, &value));
            let email = sound(
                std::str::from_utf8(&email).map_err(|_| RecordError::Impossible("email key")),
            );
            let record = self.get(Tree::Users, id.as_bytes());
            bytes += record.as_ref().map_or(0, |record| record.len());
            let user = record.map(|record| sound(decode_user(id, &record)));
            // Deleted or renamed since the index was read: no longer part of this listing.
            page.users.extend(user.filter(|user| user.email.canonical().as_str() == email));
            page.next = Some(email.to_owned());
        }
        page
    }

    /// The requests that are remembered, oldest first: the key of the age, the key of the request,
    /// and when it was answered.
    pub fn requests_by_age(&self) -> impl Iterator<Item = (Vec<u8>, Vec<u8>, Timestamp)> {
        let mut entries = self.requests.range(keys::AGES);
        std::iter::from_fn(move || {
            let (key, value) = guard(|| entries.next().transpose())?;
            let (request, at) = sound(decode_age(&key, &value));
            Some((key.to_vec(), request, at))
        })
    }

    fn tree(&self, tree: Tree) -> &sled::Tree {
        match tree {
            Tree::Users => &self.users,
            Tree::Emails => &self.emails,
            Tree::Credentials => &self.credentials,
            Tree::Requests => &self.requests,
        }
    }
}

/// Runs a call of the store; an error or a panic in it ends the process.
fn guard<T>(call: impl FnOnce() -> sled::Result<T>) -> T {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => value,
        Ok(Err(error)) => fatal::stop(&format!("the store failed: {error}")),
        Err(_) => fatal::stop("the store panicked"),
    }
}

/// Unwraps a record that was read; one that is damaged ends the process, and the next start rebuilds
/// the keyspace from the journal.
pub(crate) fn sound<T>(record: Result<T, RecordError>) -> T {
    record.unwrap_or_else(|error| fatal::stop(&format!("the keyspace is damaged: {error}")))
}

/// Unwraps a sync of the store's files; one that failed ends the process.
fn synced(result: io::Result<()>) {
    if let Err(error) = result {
        fatal::stop(&format!("the keyspace could not be synced: {error}"));
    }
}

fn is_locked(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
        || error.to_string().contains("could not acquire lock")
}

/// Makes durable that the store's files exist, which sled leaves to chance.
fn sync_creation(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        File::open(entry?.path())?.sync_all()?;
    }
    File::open(path)?.sync_all()?;
    let parent: PathBuf = path.parent().map_or_else(|| PathBuf::from("/"), Path::to_owned);
    File::open(parent)?.sync_all()
}
