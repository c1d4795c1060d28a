//! An answer to a call that is not read: first the request may arrive, for a moment.
//!
//! An answer that comes before the request has arrived resets its stream, and h2 counts what still
//! arrives for it as errors of the client: after `error_reset_streams_max` of them it closes the
//! connection, with every other call on it. An overload would then end calls that are being served.
//! What is read meanwhile is thrown away, and bounded in bytes and time.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Buf;
use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;
use tokio::time::Sleep;

/// The request of an honest unary call is on its way already.
const WAIT: Duration = Duration::from_millis(100);

/// More than any unary request has.
const BYTES_MAX: usize = 64 * 1024;

pin_project! {
    /// A call that is being refused.
    pub(in crate::server) struct Refusal<B, R> {
        // None once it was given.
        answer: Option<Response<R>>,
        #[pin]
        request: B,
        bytes: usize,
        #[pin]
        wait: Option<Sleep>,
    }
}

impl<B, R> Refusal<B, R> {
    pub(in crate::server) fn new(answer: Response<R>, request: B) -> Self {
        Self { answer: Some(answer), request, bytes: 0, wait: None }
    }
}

impl<B: Body, R> Future for Refusal<B, R> {
    type Output = Result<Response<R>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        while *this.bytes < BYTES_MAX && !this.request.is_end_stream() {
            match this.request.as_mut().poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    *this.bytes += frame.data_ref().map_or(0, Buf::remaining);
                }
                Poll::Ready(Some(Err(_)) | None) => break,
                Poll::Pending => {
                    if this.wait.is_none() {
                        this.wait.set(Some(tokio::time::sleep(WAIT)));
                    }
                    let wait = this.wait.as_mut().as_pin_mut();
                    if wait.is_some_and(|wait| wait.poll(cx).is_pending()) {
                        return Poll::Pending;
                    }
                    break;
                }
            }
        }
        // The executor polls a future no more once it was ready.
        this.answer.take().map_or(Poll::Pending, |answer| Poll::Ready(Ok(answer)))
    }
}
