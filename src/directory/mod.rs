//! The directory: everything a user record can undergo, and the folder it lives in.
//!
//! ```text
//! DATA/FORMAT      format number, directory id, canonical form
//! DATA/LOCK        held by the process that has the directory; says its pid and addresses
//! DATA/keys/       secrets of this directory, mode 0600
//! DATA/journal/    the truth
//! DATA/keyspace/   the view
//! DATA/suspect     left by a process that stopped in doubt: the keyspace is to be rebuilt
//! ```
//!
//! Reads go to the keyspace from any thread. Writes queue for one thread (`writer`), which is what
//! makes an email unique and revisions gapless without a lock. A read that starts after a write was
//! answered sees it.

mod check;
mod draft;
mod format;
mod keys;
mod lock;
mod open;
mod recovery;
mod upkeep;
mod writer;

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Semaphore, mpsc, oneshot};

pub use self::check::{CheckError, check};
pub use self::lock::LockedDir;
pub use self::open::{Obstacle, OpenError, Options};
pub use self::recovery::{RECOVER_COMMAND, recover_keyspace};
pub use crate::keyspace::Page;

use self::keys::RequestKey;
use self::upkeep::Upkeep;
use self::writer::{Command, Submission, Writer};
use crate::domain::{
    Actor, CanonicalEmail, DirectoryId, Error, Outcome, RequestId, RequestMac, Revision, Tree,
    User, UserId, Write,
};
use crate::fatal;
use crate::journal::Journal;
use crate::keyspace::{Keyspace, decode_answer, request_key, sound};

/// The most submissions that may wait for the writer.
const QUEUE_MAX: usize = 2048;

/// The most writes in one submission: what becomes of them in memory and in a frame is bounded.
const SUBMISSION_WRITES_MAX: usize = 64;

/// The most submissions of many writes that may wait or be in work.
const BULK_SUBMISSIONS_MAX: usize = 16;

/// A handle on an open directory; clones share it.
#[derive(Clone, Debug)]
pub struct Directory {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    id: DirectoryId,
    keyspace: Arc<Keyspace>,
    request_key: RequestKey,
    commands: mpsc::Sender<Command>,
    /// One permit for each submission of many writes, given back when it is answered.
    bulk: Arc<Semaphore>,
    closing: Mutex<Option<Closing>>,
}

/// What closing takes apart.
#[derive(Debug)]
struct Closing {
    writer: std::thread::JoinHandle<Journal>,
    upkeep: Upkeep,
    dir: Arc<LockedDir>,
    cache_bytes: u64,
}

impl Directory {
    /// Which directory this is.
    pub fn id(&self) -> DirectoryId {
        self.shared.id
    }

    /// The user with this id.
    pub fn user(&self, id: UserId) -> Option<User> {
        self.shared.keyspace.user(id)
    }

    /// The user with this email.
    pub fn user_by_email(&self, email: &CanonicalEmail) -> Option<User> {
        self.shared.keyspace.user_by_email(email)
    }

    /// Up to `max` users in the order of their ids, from the first one after `after`, which need
    /// not exist. Blocks for as long as the disk takes.
    pub fn users(&self, after: Option<UserId>, max: usize) -> Page<UserId> {
        self.shared.keyspace.users(after, max)
    }

    /// Up to `max` users whose canonical email begins with `prefix`, in the order of the canonical
    /// emails, from the first one after `after`. Blocks for as long as the disk takes.
    pub fn users_by_email(&self, prefix: &str, after: Option<&str>, max: usize) -> Page<String> {
        self.shared.keyspace.users_by_email(prefix, after, max)
    }

    /// The keyed digest of a request's content. The key never leaves the data directory, so the
    /// digest tells nothing about a password in the content to whoever reads a backup.
    pub fn request_mac(&self, content: &[u8]) -> RequestMac {
        self.shared.request_key.mac(content)
    }

    /// The first answer to this request, if it was made before and is still remembered.
    ///
    /// # Errors
    ///
    /// [`Error::RequestIdReused`] if the id was used for other content.
    pub fn first_answer(
        &self,
        actor: &Actor,
        request: &RequestId,
    ) -> Result<Option<Outcome>, Error> {
        let key = request_key(actor, request.id);
        let Some(bytes) = self.shared.keyspace.get(Tree::Requests, &key) else { return Ok(None) };
        sound(decode_answer(&key, &bytes)).to(request).map(Some)
    }

    /// Makes one write durable and visible.
    ///
    /// If the caller goes away before the writer begins with it, nothing happens; after that it
    /// happens whole.
    ///
    /// # Errors
    ///
    /// What the write itself meets; [`Error::Overloaded`] at once when the queue is full;
    /// [`Error::DiskFull`]; [`Error::Unavailable`] while stopping.
    pub async fn write(&self, write: Write) -> Result<Outcome, Error> {
        let (submission, answer) = Submission::new(vec![write], None);
        self.shared.commands.try_send(Command::Write(submission)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Error::Overloaded("the queue of writes"),
            mpsc::error::TrySendError::Closed(_) => stopping(),
        })?;
        match answer.await.map(|mut results| results.pop()) {
            Ok(Some(result)) => result,
            Ok(None) | Err(_) => Err(stopping()),
        }
    }

    /// Makes many writes durable and visible, in order, each for itself; waits for room in the
    /// queue. The results are in the order of the writes.
    pub async fn write_all(&self, writes: Vec<Write>) -> Vec<Result<Outcome, Error>> {
        let mut results = Vec::with_capacity(writes.len());
        let mut answers = Vec::new();
        let mut writes = writes.into_iter().peekable();
        while writes.peek().is_some() {
            let part: Vec<Write> = writes.by_ref().take(SUBMISSION_WRITES_MAX).collect();
            answers.push((part.len(), self.submit(part).await));
        }
        for (count, answer) in answers {
            let part = match answer {
                Some(answer) => answer.await.ok(),
                None => None,
            };
            results.extend(part.unwrap_or_else(|| (0..count).map(|_| Err(stopping())).collect()));
        }
        results
    }

    /// Queues a part of many writes; `None` while stopping.
    async fn submit(
        &self,
        writes: Vec<Write>,
    ) -> Option<oneshot::Receiver<Vec<Result<Outcome, Error>>>> {
        // The writer gives it back, so that nobody holds one while waiting for another.
        let permit = Arc::clone(&self.shared.bulk).acquire_owned().await.ok()?;
        let (submission, answer) = Submission::new(writes, Some(permit));
        self.shared.commands.send(Command::Write(submission)).await.ok()?;
        Some(answer)
    }

    /// Finishes what is queued, makes everything durable, and closes the directory. Other handles
    /// keep answering reads; their writes answer [`Error::Unavailable`]. Blocks.
    ///
    /// # Errors
    ///
    /// When the disk refuses. Nothing that was acknowledged is lost then; the next start recovers.
    pub fn close(self) -> std::io::Result<()> {
        let closing = self.shared.closing.lock().unwrap_or_else(PoisonError::into_inner).take();
        match closing {
            Some(closing) => closing.close(self.shared),
            None => Ok(()),
        }
    }
}

impl Closing {
    fn close(self, shared: Arc<Shared>) -> std::io::Result<()> {
        let Self { writer, mut upkeep, dir, cache_bytes } = self;
        // A writer that is gone already has nothing left to be told.
        let _ = shared.commands.blocking_send(Command::Stop);
        let journal = Writer::join(writer);
        upkeep.stop_checkpoints();
        let revision = journal.position().revision;
        shared.keyspace.make_checkpoint(revision);
        // Only the last handle can close the store whole; without that the stop is not a clean one.
        match Arc::into_inner(shared).and_then(|shared| Arc::into_inner(shared.keyspace)) {
            Some(keyspace) => {
                close_and_reopen(keyspace, revision, &dir, cache_bytes);
                journal.close()?;
                fatal::forget_mark(&dir.suspect());
            }
            None => tracing::warn!("the directory is still in use; the next start recovers it"),
        }
        upkeep.stop();
        dir.forget_holder()
    }
}

/// Closes the store, and opens it once more, which spares the next start a scan of all that was
/// written since the last opening.
fn close_and_reopen(keyspace: Keyspace, revision: Revision, dir: &LockedDir, cache_bytes: u64) {
    keyspace.close(revision);
    match Keyspace::open(&dir.keyspace(), cache_bytes) {
        Ok(keyspace) => keyspace.close(revision),
        Err(error) => fatal::stop(&format!("the keyspace does not open again: {error}")),
    }
}

fn stopping() -> Error {
    Error::Unavailable("stopping")
}
