//! The end of calls whose client does not read.
//!
//! HTTP/2 lets a client stop the data of one call for as long as it likes, while it answers every
//! keepalive. hyper then does not ask the body for more, so that no code of ours runs: no deadline
//! fires, and the call holds its place in flight. Sixteen such connections would hold every place.
//!
//! So each call runs in a task that watches this: if the task waits, but not for our code (the trace
//! layer notes what our code said last), then it waits for its client to read, and a clock runs
//! until that has happened. The note is a thread-local: a task is polled on one thread, and one poll
//! ends before the next begins.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::Sleep;

thread_local! {
    static OURS_PENDING: Cell<bool> = const { Cell::new(false) };
}

/// Notes whether the call that is being polled waits for our code.
pub(super) fn note<T>(ours: Poll<T>) -> Poll<T> {
    OURS_PENDING.set(ours.is_pending());
    ours
}

/// Runs each call of a connection as a task that ends when it stalls.
#[derive(Clone, Debug)]
pub(super) struct Executor {
    timeout: Duration,
}

impl Executor {
    pub(super) fn new(timeout: Duration) -> Self {
        Self { timeout }
    }
}

impl<F> hyper::rt::Executor<F> for Executor
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, call: F) {
        tokio::spawn(Watched { call, timeout: self.timeout, stalled: None });
    }
}

pin_project! {
    struct Watched<F> {
        #[pin]
        call: F,
        timeout: Duration,
        #[pin]
        stalled: Option<Sleep>,
    }
}

impl<F: Future<Output = ()>> Future for Watched<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        OURS_PENDING.set(false);
        if this.call.poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if OURS_PENDING.get() {
            this.stalled.set(None);
            return Poll::Pending;
        }
        if this.stalled.is_none() {
            this.stalled.set(Some(tokio::time::sleep(*this.timeout)));
        }
        // Being ready drops the call, which resets its stream.
        this.stalled.as_pin_mut().map_or(Poll::Pending, |sleep| sleep.poll(cx))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const SHORT: Duration = Duration::from_millis(10);

    /// A call that says this at each poll: done, or what it waits for.
    async fn watched(mut poll: impl FnMut() -> Poll<()> + Send) {
        Watched { call: poll_fn(move |_| poll()), timeout: SHORT, stalled: None }.await;
    }

    #[tokio::test]
    async fn a_call_that_waits_for_its_client_ends() {
        watched(|| Poll::Pending).await;
        // Our code had something to send, and the client takes nothing.
        watched(|| {
            let _sent = note(Poll::Ready(()));
            Poll::Pending
        })
        .await;
    }

    #[tokio::test]
    async fn a_call_that_waits_for_us_does_not() {
        let waiting = watched(|| note(Poll::Pending));
        assert!(tokio::time::timeout(SHORT * 5, waiting).await.is_err());
    }
}
