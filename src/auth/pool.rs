//! The bounded pool that hashes passwords: at most one at a time on each core.
//!
//! Hashing is the one thing here that keeps a processor busy for long, so it has threads of its
//! own, and the threads that serve calls never wait for it. Workers start with the first password
//! and end, with their memory, after ten idle seconds.
//!
//! Two kinds of callers wait for a hash. One that has a person behind it is told at once when the
//! queue is full; one that brings many passwords waits for room, and all of that kind together
//! hold no more places than there are workers, so that they never fill the queue for the others.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::Password;
use super::hasher::Hasher;
use crate::domain::{Credential, Error};

/// How many passwords of impatient callers wait at most. On one core the last waits ten seconds.
const QUEUE_MAX: usize = 256;

/// How long a worker waits for a password before it ends.
const WORKER_IDLE: Duration = Duration::from_secs(10);

/// A handle on the pool; clones share it.
#[derive(Clone)]
pub struct PasswordPool(Arc<Pool>);

struct Pool {
    width: usize,
    /// Places in the queue for callers who are refused when there is none.
    places: Arc<Semaphore>,
    /// Places in the queue for callers who wait for one.
    patient_places: Arc<Semaphore>,
    // A std mutex: it is held for a few instructions and never across an await.
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    /// The numbers of the workers that run.
    workers: BTreeSet<usize>,
    /// How many of them wait for a job.
    idle: usize,
}

/// A password to hash. It keeps its place in the queue until a worker takes it.
struct Job {
    password: Password,
    answer: oneshot::Sender<Result<Credential, Error>>,
    place: OwnedSemaphorePermit,
}

impl PasswordPool {
    /// A pool with at most one worker for each core.
    pub fn per_core() -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self::with_limits(cores, QUEUE_MAX)
    }

    fn with_limits(width: usize, queue_max: usize) -> Self {
        Self(Arc::new(Pool {
            width,
            places: Arc::new(Semaphore::new(queue_max)),
            patient_places: Arc::new(Semaphore::new(width)),
            state: Mutex::default(),
            work: Condvar::new(),
        }))
    }

    /// How many passwords are hashed at the same time.
    pub fn width(&self) -> usize {
        self.0.width
    }

    /// Hashes a password. A call that is dropped before its turn costs nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Overloaded`] at once if the queue is full.
    pub async fn try_hash(&self, password: Password) -> Result<Credential, Error> {
        let place = Arc::clone(&self.0.places)
            .try_acquire_owned()
            .map_err(|_| Error::Overloaded("the queue for password hashing"))?;
        self.hash_at(place, password).await
    }

    /// Hashes a password as soon as there is room, for callers that bring many.
    ///
    /// # Errors
    ///
    /// [`Error::Fault`] if no worker can be started.
    pub async fn hash(&self, password: Password) -> Result<Credential, Error> {
        let place =
            Arc::clone(&self.0.patient_places).acquire_owned().await.map_err(Error::fault)?;
        self.hash_at(place, password).await
    }

    async fn hash_at(
        &self,
        place: OwnedSemaphorePermit,
        password: Password,
    ) -> Result<Credential, Error> {
        let (answer, answered) = oneshot::channel();
        self.0.enqueue(Job { password, answer, place }).map_err(Error::fault)?;
        answered.await.map_err(Error::fault)?
    }
}

impl Pool {
    /// Queues a job and sees to it that somebody will take it.
    fn enqueue(self: &Arc<Self>, job: Job) -> io::Result<()> {
        let mut state = self.lock();
        if state.idle <= state.jobs.len() {
            self.start_worker(&mut state)?;
        }
        state.jobs.push_back(job);
        self.work.notify_one();
        Ok(())
    }

    /// Starts one more worker, if there may be one. Fails only if there is none at all.
    fn start_worker(self: &Arc<Self>, state: &mut State) -> io::Result<()> {
        let Some(number) = (0..self.width).find(|number| !state.workers.contains(number)) else {
            return Ok(());
        };
        let pool = Arc::clone(self);
        let worker = thread::Builder::new().name(format!("rosterd-hash-{number}"));
        match worker.spawn(move || pool.work(number)) {
            Ok(_) => {
                state.workers.insert(number);
                Ok(())
            }
            Err(error) if state.workers.is_empty() => Err(error),
            Err(_) => Ok(()),
        }
    }

    /// The life of a worker.
    fn work(&self, number: usize) {
        let mut hasher = Hasher::default();
        while let Some(job) = self.next_job(number) {
            survive(&mut hasher, |hasher| job.run(hasher));
        }
        hasher.rest();
    }

    /// Waits for a job; `None` retires the worker.
    fn next_job(&self, number: usize) -> Option<Job> {
        let mut state = self.lock();
        state.idle += 1;
        (state, _) = self
            .work
            .wait_timeout_while(state, WORKER_IDLE, |state| state.jobs.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        state.idle -= 1;
        let job = state.jobs.pop_front();
        if job.is_none() {
            state.workers.remove(&number);
        }
        job
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock, so a poisoned state is a sound one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Works, and outlives a panic in that: it costs the job at hand its answer, and the hasher its
/// memory. A worker that died would be counted as one that runs for ever, and the jobs in the queue
/// would wait for it.
fn survive(hasher: &mut Hasher, work: impl FnOnce(&mut Hasher)) {
    // The memory is all that a panic could leave half done, and it is given back.
    if catch_unwind(AssertUnwindSafe(|| work(hasher))).is_err() {
        hasher.rest();
    }
}

impl Job {
    fn run(self, hasher: &mut Hasher) {
        let Self { password, answer, place } = self;
        drop(place);
        if !answer.is_closed() {
            // Whoever stopped waiting meanwhile needs no answer.
            let _ = answer.send(hasher.hash(&password));
        }
    }
}

impl fmt::Debug for PasswordPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordPool").field("width", &self.0.width).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use futures_util::future::join_all;

    use super::*;

    fn password() -> Password {
        Password::parse("correct horse").unwrap()
    }

    #[tokio::test]
    async fn many_passwords_are_hashed_by_few_workers() {
        let pool = PasswordPool::with_limits(2, 8);
        assert!(pool.0.lock().workers.is_empty(), "workers start with the first password");
        let patient = join_all((0..4).map(|_| pool.hash(password())));
        let impatient = join_all((0..4).map(|_| pool.try_hash(password())));
        let (patient, impatient) = tokio::join!(patient, impatient);
        assert!(patient.iter().chain(&impatient).all(Result::is_ok));
        assert!(pool.0.lock().workers.len() <= 2);
    }

    #[test]
    fn a_full_queue_refuses_at_once_those_who_do_not_wait() {
        let nobody_works = PasswordPool::with_limits(0, 1);
        let mut first = Box::pin(nobody_works.try_hash(password()));
        assert!(first.as_mut().now_or_never().is_none());
        let second = nobody_works.try_hash(password()).now_or_never();
        assert!(matches!(second, Some(Err(Error::Overloaded(_)))));
    }

    #[test]
    fn those_who_wait_leave_the_places_of_the_others_alone() {
        let nobody_works = PasswordPool::with_limits(0, 1);
        let mut waiting = Box::pin(nobody_works.hash(password()));
        assert!(waiting.as_mut().now_or_never().is_none());
        assert_eq!(nobody_works.0.places.available_permits(), 1);
        assert!(nobody_works.0.lock().jobs.is_empty());
    }

    #[test]
    fn a_panic_costs_one_job_its_answer_and_the_worker_goes_on() {
        let mut hasher = Hasher::default();
        let (answer, answered) = oneshot::channel::<()>();
        survive(&mut hasher, |hasher| {
            hasher.hash(&password()).unwrap();
            let _unanswered = answer;
            panic!("on purpose");
        });
        assert!(answered.now_or_never().unwrap().is_err());
        assert!(hasher.is_resting());
        survive(&mut hasher, |hasher| assert!(hasher.hash(&password()).is_ok()));
        assert!(!hasher.is_resting());
    }

    #[test]
    fn a_job_that_nobody_waits_for_gives_up_its_place_unhashed() {
        let places = Arc::new(Semaphore::new(1));
        let place = Arc::clone(&places).try_acquire_owned().unwrap();
        let (answer, answered) = oneshot::channel();
        drop(answered);
        let mut hasher = Hasher::default();
        Job { password: password(), answer, place }.run(&mut hasher);
        assert_eq!(places.available_permits(), 1);
        assert!(hasher.is_resting());
    }
}
