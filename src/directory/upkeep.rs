//! The threads beside the writer: one makes checkpoints, one ends the process when work is stuck.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::LockedDir;
use crate::domain::Revision;
use crate::fatal;
use crate::keyspace::Keyspace;

/// How long after a change its checkpoint comes at the latest, if the disk keeps up.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(5);

/// How many changes a start has to replay at the most, if the disk keeps up.
const CHECKPOINT_CHANGES: u64 = 20_000;

/// How long one piece of work may take. A disk that is that slow is broken, or the store waits for
/// something that will not come.
const STUCK_AFTER: Duration = Duration::from_secs(120);

/// How far the writer is, for the threads beside it.
#[derive(Debug)]
pub(super) struct Progress {
    applied: AtomicU64,
    checkpoint: AtomicU64,
    /// Seconds since `started`, plus one, at which the present work began; zero when idle.
    writing_since: AtomicU64,
    checkpointing_since: AtomicU64,
    started: Instant,
    wake: SyncSender<()>,
}

impl Progress {
    pub(super) fn begin_work(&self) {
        self.writing_since.store(self.clock(), Ordering::Relaxed);
    }

    pub(super) fn end_work(&self) {
        self.writing_since.store(0, Ordering::Relaxed);
    }

    /// Notes that everything up to a revision is in the keyspace.
    pub(super) fn applied(&self, revision: Revision) {
        self.begin_work();
        self.applied.store(revision.get(), Ordering::Release);
        if revision.get() - self.checkpoint.load(Ordering::Relaxed) >= CHECKPOINT_CHANGES {
            // If it is awake already, it will see this revision too.
            let _ = self.wake.try_send(());
        }
    }

    fn clock(&self) -> u64 {
        self.started.elapsed().as_secs() + 1
    }

    fn is_stuck(&self, since: &AtomicU64) -> bool {
        let since = since.load(Ordering::Relaxed);
        since != 0 && self.clock().saturating_sub(since) > STUCK_AFTER.as_secs()
    }

    /// Makes a checkpoint of what is applied by now, if there is anything new.
    fn make_checkpoint(&self, keyspace: &Keyspace) {
        let applied = self.applied.load(Ordering::Acquire);
        if applied == self.checkpoint.load(Ordering::Relaxed) {
            return;
        }
        self.checkpointing_since.store(self.clock(), Ordering::Relaxed);
        keyspace.make_checkpoint(Revision::new(applied));
        self.checkpointing_since.store(0, Ordering::Relaxed);
        self.checkpoint.store(applied, Ordering::Relaxed);
    }
}

/// The running threads.
#[derive(Debug)]
pub(super) struct Upkeep {
    progress: Arc<Progress>,
    checkpoints: Option<Stoppable>,
    watchdog: Option<Stoppable>,
}

/// A thread that ends when its sender is dropped.
type Stoppable = (SyncSender<()>, JoinHandle<()>);

impl Upkeep {
    pub(super) fn start(
        keyspace: Arc<Keyspace>,
        checkpoint: Revision,
        applied: Revision,
        dir: Arc<LockedDir>,
    ) -> std::io::Result<Self> {
        let (wake, woken) = sync_channel(1);
        let progress = Arc::new(Progress {
            applied: AtomicU64::new(applied.get()),
            checkpoint: AtomicU64::new(checkpoint.get()),
            writing_since: AtomicU64::new(0),
            checkpointing_since: AtomicU64::new(0),
            started: Instant::now(),
            wake,
        });
        let (stop_checkpoints, stopped) = sync_channel(0);
        let checkpoints = spawn("rosterd-checkpoint", {
            let progress = Arc::clone(&progress);
            move || {
                checkpoints(&progress, &keyspace, &woken, &stopped);
                drop(dir);
            }
        })?;
        let (stop_watchdog, stopped) = sync_channel(0);
        let watched = Arc::clone(&progress);
        let watchdog = spawn("rosterd-watchdog", move || watchdog(&watched, &stopped))?;
        Ok(Self {
            progress,
            checkpoints: Some((stop_checkpoints, checkpoints)),
            watchdog: Some((stop_watchdog, watchdog)),
        })
    }

    pub(super) fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Ends the checkpoints, and has the watchdog watch over the rest of the stop.
    pub(super) fn stop_checkpoints(&mut self) {
        if let Some((sender, thread)) = self.checkpoints.take() {
            drop(sender);
            // Wakes the thread, so that it looks whether it is to end.
            let _ = self.progress.wake.try_send(());
            join(thread);
        }
        self.progress.begin_work();
    }

    /// Ends the watchdog.
    pub(super) fn stop(mut self) {
        self.progress.end_work();
        if let Some((sender, thread)) = self.watchdog.take() {
            drop(sender);
            join(thread);
        }
    }
}

fn join(thread: JoinHandle<()>) {
    if thread.join().is_err() {
        fatal::stop("a thread of upkeep panicked");
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err() {
            fatal::stop("a thread of upkeep panicked");
        }
    })
}

fn checkpoints(
    progress: &Progress,
    keyspace: &Keyspace,
    woken: &Receiver<()>,
    stopped: &Receiver<()>,
) {
    loop {
        // Either reason to wake leads to the same work.
        let _ = woken.recv_timeout(CHECKPOINT_EVERY);
        if stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Disconnected) {
            return;
        }
        progress.make_checkpoint(keyspace);
    }
}

fn watchdog(progress: &Progress, stopped: &Receiver<()>) {
    while stopped.recv_timeout(Duration::from_secs(1)) == Err(RecvTimeoutError::Timeout) {
        if progress.is_stuck(&progress.writing_since) {
            fatal::stop("a write has been stuck for two minutes");
        }
        if progress.is_stuck(&progress.checkpointing_since) {
            fatal::stop("a checkpoint of the keyspace has been stuck for two minutes");
        }
    }
}
