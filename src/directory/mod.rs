//! The directory: everything a user record can undergo.

use std::path::{Path, PathBuf};

use crate::domain::{
    Actor, CanonicalEmail, Error, Outcome, RequestId, RequestMac, User, UserId, Write,
};

/// How to open a directory.
#[derive(Clone, Debug)]
pub struct Options {
    /// The program that recovers a keyspace after an unclean stop, in a process of its own: this
    /// one.
    pub recoverer: PathBuf,
    /// Bytes of memory for the cache of the store.
    pub cache_bytes: u64,
}

/// A data directory that this process holds the lock of, not opened yet.
#[derive(Debug)]
pub struct LockedDir {}

/// Why a directory cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("locked")]
    Locked,
}

impl LockedDir {
    /// Creates the folder if need be and takes its lock.
    pub fn lock(path: &Path) -> Result<Self, OpenError> {
        todo!("{path:?}")
    }

    /// Notes in the LOCK file where this process can be reached.
    pub fn announce(&mut self, addresses: &[String]) -> Result<(), OpenError> {
        todo!("{addresses:?}")
    }

    /// Recovers what the last run left and opens the directory. Takes seconds on a large one.
    pub fn open(self, options: &Options) -> Result<Directory, OpenError> {
        todo!("{options:?}")
    }
}

/// A handle on an open directory; clones share it.
#[derive(Clone, Debug)]
pub struct Directory {}

/// A part of a listing.
#[derive(Debug)]
pub struct Page<K> {
    /// The users, in order.
    pub users: Vec<User>,
    /// The last key that was examined, if there may be more after it.
    pub next: Option<K>,
}

impl Directory {
    /// The user with this id.
    pub fn user(&self, id: UserId) -> Result<Option<User>, Error> {
        todo!("{id}")
    }

    /// The user with this email.
    pub fn user_by_email(&self, email: &CanonicalEmail) -> Result<Option<User>, Error> {
        todo!("{email:?}")
    }

    /// Up to `max` users in the order of their ids, from the first one after `after`.
    pub fn users(&self, after: Option<UserId>, max: usize) -> Result<Page<UserId>, Error> {
        todo!("{after:?} {max}")
    }

    /// Up to `max` users whose canonical email begins with `prefix`, in the order of the canonical
    /// emails, from the first one after `after`.
    pub fn users_by_email(
        &self,
        prefix: &str,
        after: Option<&str>,
        max: usize,
    ) -> Result<Page<String>, Error> {
        todo!("{prefix} {after:?} {max}")
    }

    /// The keyed digest of a request's content.
    pub fn request_mac(&self, content: &[u8]) -> RequestMac {
        todo!("{content:?}")
    }

    /// The first answer to this request, if it was made before (and is still remembered).
    ///
    /// # Errors
    ///
    /// [`Error::RequestIdReused`] if the id was used for other content.
    pub fn first_answer(
        &self,
        actor: &Actor,
        request: &RequestId,
    ) -> Result<Option<Outcome>, Error> {
        todo!("{actor:?} {request:?}")
    }

    /// Makes one write durable and visible. [`Error::Overloaded`] at once when the queue is full.
    pub async fn write(&self, write: Write) -> Result<Outcome, Error> {
        todo!("{write:?}")
    }

    /// Makes many writes durable and visible, each by itself, in order; waits for room in the
    /// queue.
    pub async fn write_all(&self, writes: Vec<Write>) -> Vec<Result<Outcome, Error>> {
        todo!("{writes:?}")
    }

    /// Finishes what is queued, makes the keyspace durable, and closes it. Later writes answer
    /// [`Error::Unavailable`].
    pub fn close(&self) {
        todo!()
    }
}
