//! The end of calls whose client does not read.
//!
//! HTTP/2 lets a client stop the data of one call for as long as it likes, while it answers every
//! keepalive. hyper then does not ask the body for more, so that no code of ours runs: no deadline
//! fires, and the call holds its place in flight. Sixteen such connections would hold every place.
//!
//! So each call runs in a task that watches this: if the task waits, but not for our code (the trace
//! layer notes what our code said last), then it waits for its client to read, and a clock runs. The
//! clock begins anew with each piece of the answer that is asked for, so a client that reads slowly
//! but steadily goes on. The note is a thread-local: a task is polled on one thread, and one poll
//! ends before the next begins. So is the mark by which the trace layer tells a call that was ended
//! here from one whose client left: both are dropped.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::Sleep;

thread_local! {
    static SAID: Cell<Said> = const { Cell::new(Said::Nothing) };
    static CUTTING: Cell<bool> = const { Cell::new(false) };
}

/// What our code said last in the present poll of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    /// It was not asked.
    Nothing,
    Pending,
    Ready,
}

/// Notes whether the call that is being polled waits for our code.
pub(super) fn note<T>(ours: Poll<T>) -> Poll<T> {
    SAID.set(if ours.is_pending() { Said::Pending } else { Said::Ready });
    ours
}

/// True while a call is dropped because its client does not read.
pub(super) fn cutting() -> bool {
    CUTTING.get()
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
        tokio::spawn(Watched::new(call, self.timeout));
    }
}

pin_project! {
    struct Watched<F> {
        // None once it was cut.
        #[pin]
        call: Option<F>,
        timeout: Duration,
        #[pin]
        stalled: Option<Sleep>,
    }
}

impl<F> Watched<F> {
    fn new(call: F, timeout: Duration) -> Self {
        Self { call: Some(call), timeout, stalled: None }
    }
}

impl<F: Future<Output = ()>> Future for Watched<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        SAID.set(Said::Nothing);
        if this.call.as_mut().as_pin_mut().is_none_or(|call| call.poll(cx).is_ready()) {
            return Poll::Ready(());
        }
        let said = SAID.get();
        if said != Said::Nothing {
            this.stalled.set(None);
        }
        if said == Said::Pending {
            return Poll::Pending;
        }
        if this.stalled.is_none() {
            this.stalled.set(Some(tokio::time::sleep(*this.timeout)));
        }
        ready!(this.stalled.as_pin_mut().map_or(Poll::Pending, |sleep| sleep.poll(cx)));
        // Dropping the call resets its stream.
        CUTTING.set(true);
        this.call.set(None);
        CUTTING.set(false);
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const SHORT: Duration = Duration::from_millis(10);

    /// A call that says this at each poll: done, or what it waits for.
    async fn watched(mut poll: impl FnMut() -> Poll<()> + Send) {
        Watched::new(poll_fn(move |_| poll()), SHORT).await;
    }

    #[tokio::test]
    async fn a_call_that_waits_for_its_client_ends() {
        watched(|| Poll::Pending).await;
        // Our code had something to send, and the client takes nothing after it.
        let mut first = true;
        watched(move || {
            if std::mem::take(&mut first) {
                let _sent = note(Poll::Ready(()));
            }
            Poll::Pending
        })
        .await;
    }

    #[tokio::test]
    async fn a_call_that_waits_for_us_does_not() {
        let waiting = watched(|| note(Poll::Pending));
        assert!(tokio::time::timeout(SHORT * 5, waiting).await.is_err());
    }

    #[tokio::test]
    async fn a_client_that_reads_slowly_but_steadily_keeps_its_call() {
        let timeout = Duration::from_millis(200);
        let mut reads = tokio::time::interval(timeout / 2);
        let mut left = 8;
        let call = poll_fn(|cx| {
            while left > 0 && reads.poll_tick(cx).is_ready() {
                left -= 1;
                let _sent = note(Poll::Ready(()));
            }
            if left == 0 { Poll::Ready(()) } else { Poll::Pending }
        });
        Watched::new(call, timeout).await;
        assert_eq!(left, 0, "it was cut");
    }

    #[tokio::test]
    async fn a_call_that_is_cut_can_tell() {
        struct Call(std::sync::mpsc::Sender<bool>);

        impl Drop for Call {
            fn drop(&mut self) {
                self.0.send(cutting()).unwrap();
            }
        }

        let (tell, told) = std::sync::mpsc::channel();
        let call = |tell| async move {
            let _call = Call(tell);
            std::future::pending::<()>().await;
        };
        Watched::new(call(tell.clone()), SHORT).await;
        assert!(told.recv().unwrap());
        let mut left = Box::pin(Watched::new(call(tell), SHORT));
        let ended = poll_fn(|cx| Poll::Ready(left.as_mut().poll(cx).is_ready())).await;
        assert!(!ended);
        drop(left);
        assert!(!told.recv().unwrap(), "its client left");
    }
}
