//! Reading much of the directory without holding up the threads that serve calls.
//!
//! Pages are read on threads for blocking work, only a few at a time in the whole process: many
//! listings share the disk's time, and neither threads nor memory grow with their number.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task;

use crate::domain::Error;

/// How many pages are read at the same time in all.
const READS_MAX: usize = 8;

/// Where pages are read; clones share the limit.
#[derive(Clone, Debug)]
pub(super) struct Pages(Arc<Semaphore>);

impl Pages {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(READS_MAX)))
    }

    /// Reads on a thread where that may take its time. A read that has not begun when its caller
    /// is gone never begins.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let turn = Arc::clone(&self.0).acquire_owned().await.map_err(Error::fault)?;
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
