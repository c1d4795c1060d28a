//! The writer: one thread that decides, appends, applies and answers.
//!
//! The life of a group: take what is queued, without waiting for more; decide each write against
//! the keyspace and the group so far; append the group to the journal, which is the one fdatasync;
//! apply it to the keyspace; note the acknowledged revision; answer everyone. Answers wait for the
//! sync even when they are refusals, since a refusal may rest on a change of the same group.
//!
//! A sync or an apply that fails ends the process (see `fatal`): waiters get no answer, and the
//! next start decides by the journal. A full disk is no doubt: the group was not written, its
//! waiters hear of it, and the next group tries again.

use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::LockedDir;
use super::draft::{Draft, GROUP_WRITES_MAX, Ids};
use super::upkeep::Progress;
use crate::domain::{Error, Outcome, Timestamp, Write};
use crate::fatal;
use crate::journal::{AppendError, Group, Journal};
use crate::keyspace::Keyspace;

/// A group is closed when its changes take this many bytes: it bounds memory, and how long the
/// first of a group waits for the last.
const GROUP_BYTES_TARGET: usize = 1 << 20;

type Results = Vec<Result<Outcome, Error>>;

/// What the writer is told.
#[derive(Debug)]
pub(super) enum Command {
    /// Make these writes.
    Write(Submission),
    /// Finish what is queued, and end.
    Stop,
}

/// Writes that are answered together.
#[derive(Debug)]
pub(super) struct Submission {
    writes: Vec<Write>,
    reply: oneshot::Sender<Results>,
    /// Given back when the submission is answered.
    permit: Option<OwnedSemaphorePermit>,
}

impl Submission {
    pub(super) fn new(
        writes: Vec<Write>,
        permit: Option<OwnedSemaphorePermit>,
    ) -> (Self, oneshot::Receiver<Results>) {
        let (reply, answer) = oneshot::channel();
        (Self { writes, reply, permit }, answer)
    }
}

/// The state of the writer thread.
pub(super) struct Writer {
    keyspace: Arc<Keyspace>,
    journal: Journal,
    progress: Arc<Progress>,
    ids: Ids,
    /// The lock is not given back while anything can still be written.
    _dir: Arc<LockedDir>,
}

impl Writer {
    pub(super) fn new(
        keyspace: Arc<Keyspace>,
        journal: Journal,
        progress: Arc<Progress>,
        dir: Arc<LockedDir>,
    ) -> Self {
        Self { keyspace, journal, progress, ids: Ids::default(), _dir: dir }
    }

    /// Starts the thread. It ends with the journal when it is told to stop, or when every sender of
    /// commands is gone.
    pub(super) fn start(
        mut self,
        mut commands: mpsc::Receiver<Command>,
    ) -> std::io::Result<JoinHandle<Journal>> {
        std::thread::Builder::new().name("rosterd-writer".to_owned()).spawn(move || {
            let run = std::panic::AssertUnwindSafe(|| self.run(&mut commands));
            if std::panic::catch_unwind(run).is_err() {
                fatal::stop("the writer panicked");
            }
            self.journal
        })
    }

    /// Waits for the thread to end.
    pub(super) fn join(writer: JoinHandle<Journal>) -> Journal {
        writer.join().unwrap_or_else(|_| fatal::stop("the writer ended in a panic"))
    }

    fn run(&mut self, commands: &mut mpsc::Receiver<Command>) {
        while let Some(command) = commands.blocking_recv() {
            self.progress.begin_work();
            self.group(command, commands);
            self.progress.end_work();
        }
    }

    /// Makes one group of a command and what is queued behind it, as far as it fits.
    fn group(&mut self, command: Command, commands: &mut mpsc::Receiver<Command>) {
        let now = Timestamp::now().max(self.journal.position().at);
        let mut draft = Draft::new(&self.keyspace, self.journal.position(), now, &mut self.ids);
        let mut answers = Vec::new();
        let mut writes = 0;
        let mut next = Some(command);
        while let Some(command) = next.take() {
            match command {
                // Nothing more comes in; what is queued already is still done.
                Command::Stop => commands.close(),
                // A caller that is gone before its write has begun gets nothing done.
                Command::Write(submission) if submission.reply.is_closed() => {}
                Command::Write(Submission { writes: asked, reply, permit }) => {
                    writes += asked.len();
                    let decided = asked.into_iter().map(|write| draft.decide(write));
                    answers.push((reply, decided.collect::<Results>(), permit));
                }
            }
            if writes < GROUP_WRITES_MAX && draft.bytes() < GROUP_BYTES_TARGET {
                next = commands.try_recv().ok();
            }
        }
        let group = draft.finish();
        let full = self.commit(group);
        for (reply, mut results, _permit) in answers {
            if full {
                results.iter_mut().for_each(|result| *result = Err(Error::DiskFull));
            }
            // A caller that is gone meanwhile finds the write done when it asks.
            let _ = reply.send(results);
        }
    }

    /// Makes a group durable and visible; tells whether the disk was too full for it.
    fn commit(&mut self, group: Option<Group>) -> bool {
        let Some(group) = group else { return false };
        match self.journal.append(&group) {
            Ok(()) => {}
            Err(error @ AppendError::Full(_)) => {
                tracing::warn!(%error, "writes are refused until there is room");
                return true;
            }
            Err(error @ AppendError::Sync(_)) => fatal::stop(&error.to_string()),
        }
        self.keyspace.apply(&group.changes);
        self.progress.applied(self.journal.position().revision);
        if let Err(error) = self.journal.acknowledge() {
            fatal::stop(&format!("journal/acked cannot be written: {error}"));
        }
        false
    }
}
