//! Reading much of the directory without holding up the threads that serve calls.
//!
//! Pages are read on threads for blocking work, only a few at a time in the whole process: many
//! listings share the disk's time, and threads do not grow with their number. Memory does, since a
//! listing keeps pages for as long as its client takes to read them; so listings are bounded too.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task;

use crate::domain::Error;

/// How many pages are read at the same time in all.
const READS_MAX: usize = 8;

/// How many listings are open at the same time in all. Each holds two pages at most.
const LISTINGS_MAX: usize = 256;

/// Where pages are read; clones share the limits.
#[derive(Clone, Debug)]
pub(super) struct Pages {
    reads: Arc<Semaphore>,
    listings: Arc<Semaphore>,
}

/// The place of one open listing; dropping it gives it back.
#[derive(Debug)]
pub(super) struct OpenListing(#[expect(dead_code, reason = "held")] OwnedSemaphorePermit);

impl Pages {
    pub(super) fn new() -> Self {
        Self {
            reads: Arc::new(Semaphore::new(READS_MAX)),
            listings: Arc::new(Semaphore::new(LISTINGS_MAX)),
        }
    }

    /// Opens one more listing.
    ///
    /// # Errors
    ///
    /// [`Error::Overloaded`] at once if too many are open: a stalled one may stay so for long.
    pub(super) fn open_listing(&self) -> Result<OpenListing, Error> {
        let place = Arc::clone(&self.listings).try_acquire_owned();
        place.map(OpenListing).map_err(|_| Error::Overloaded("the number of open lists"))
    }

    /// Reads on a thread where that may take its time. A read that has not begun when its caller
    /// is gone never begins.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let turn = Arc::clone(&self.reads).acquire_owned().await.map_err(Error::fault)?;
        let reading = task::spawn_blocking(move || {
            // Held by the reading thread, which goes on when its caller is gone.
            let _turn = turn;
            read()
        });
        reading.await.map_err(Error::fault)?
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn a_listing_too_many_is_refused_at_once_and_a_closed_one_makes_room() {
        let pages = Pages::new();
        let mut open: Vec<_> = (0..LISTINGS_MAX).map(|_| pages.open_listing().unwrap()).collect();
        assert!(matches!(pages.clone().open_listing(), Err(Error::Overloaded(_))));
        open.pop();
        assert!(pages.clone().open_listing().is_ok());
    }

    #[tokio::test]
    async fn only_a_few_reads_run_at_a_time_and_an_abandoned_one_never_begins() {
        let pages = Pages::new();
        let (release, wait) = mpsc::channel::<()>();
        let wait = Arc::new(std::sync::Mutex::new(wait));
        let mut running: Vec<_> = (0..READS_MAX)
            .map(|_| {
                let wait = Arc::clone(&wait);
                Box::pin(pages.read(move || Ok(wait.lock().unwrap().recv().is_err())))
            })
            .collect();
        assert!(running.iter_mut().all(|read| read.as_mut().now_or_never().is_none()));
        let (began, has_begun) = mpsc::channel();
        let mut abandoned = Box::pin(pages.read(move || Ok(began.send(()).is_ok())));
        assert!(abandoned.as_mut().now_or_never().is_none());
        drop(abandoned);
        drop(release);
        for read in running {
            read.await.unwrap();
        }
        assert!(has_begun.recv().is_err());
    }
}
