//! One line of the log for each call: method, code, duration, peer, caller. Never a body, an email
//! or any other field of a message.
//!
//! The code is known when the call is over: from the headers of an answer without a body, from the
//! trailers at the end of a body, and CANCELLED when either is dropped before: because the client
//! went away, or because it did not read and we went away, which is a warning.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tonic::{Code, Status};
use tower::Service;

use crate::server::address::Peer;
use crate::server::methods::{self, Flow};
use crate::server::stall;

/// A unary call that takes this long is worth a line in any mode.
const SLOW: Duration = Duration::from_secs(1);

/// Methods that do not exist are logged up to this many bytes.
const UNKNOWN_PATH_BYTES_MAX: usize = 100;

/// Which calls get a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogCalls {
    /// Every call.
    All,
    /// Our failures, and slow unary calls.
    Failures,
}

impl LogCalls {
    fn wants(self, code: Code, duration: Duration, flow: Option<Flow>) -> bool {
        match self {
            Self::All => true,
            // Streams are long by nature.
            Self::Failures => ours(code) || (duration >= SLOW && flow == Some(Flow::Unary)),
        }
    }
}

/// True if the code says that we failed. UNAVAILABLE does not: it is how a start and a stop answer,
/// by design, and thousands of watches end with it at once. RESOURCE_EXHAUSTED does not either, as
/// an overload must not become a flood of lines.
fn ours(code: Code) -> bool {
    matches!(code, Code::Internal | Code::Unknown | Code::DataLoss)
}

/// The layer of one connection.
#[derive(Clone, Debug)]
pub(in crate::server) struct Trace<S> {
    inner: S,
    peer: Peer,
    log: LogCalls,
}

impl<S> Trace<S> {
    pub(super) fn new(inner: S, peer: Peer, log: LogCalls) -> Self {
        Self { inner, peer, log }
    }
}

impl<S, B, R> Service<Request<B>> for Trace<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Body<Data = Bytes, Error = Status>,
{
    type Response = Response<TracedBody<R>>;
    type Error = S::Error;
    type Future = Traced<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let path = request.uri().path_and_query().cloned();
        let (peer, log) = (self.peer, self.log);
        let line = Line { path, started: Instant::now(), peer, log, code: Code::Cancelled };
        Traced { line: Some(line), inner: self.inner.call(request) }
    }
}

pin_project! {
    /// A call that has not answered yet.
    pub(in crate::server) struct Traced<F> {
        line: Option<Line>,
        #[pin]
        inner: F,
    }
}

impl<F, R, E> Future for Traced<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Body<Data = Bytes, Error = Status>,
{
    type Output = Result<Response<TracedBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(stall::note(this.inner.poll(cx)))?;
        let mut line = this.line.take();
        if response.body().is_end_stream() {
            // No trailers follow: the code is here, or nowhere.
            end(&mut line, code(response.headers()));
        }
        Poll::Ready(Ok(response.map(|inner| TracedBody { line, inner })))
    }
}

pin_project! {
    /// The body of an answer. Its line is written with the trailers.
    pub(in crate::server) struct TracedBody<R> {
        line: Option<Line>,
        #[pin]
        inner: R,
    }
}

impl<R: Body<Data = Bytes, Error = Status>> Body for TracedBody<R> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.project();
        let frame = ready!(stall::note(this.inner.poll_frame(cx)));
        match &frame {
            Some(Ok(frame)) if frame.is_data() => {}
            Some(Ok(frame)) => end(this.line, frame.trailers_ref().map_or(Code::Unknown, code)),
            Some(Err(status)) => end(this.line, status.code()),
            None => end(this.line, Code::Unknown),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The code in the headers or trailers of an answer.
fn code(headers: &HeaderMap) -> Code {
    headers
        .get(Status::GRPC_STATUS)
        .map_or(Code::Unknown, |value| Code::from_bytes(value.as_bytes()))
}

/// The line of a call that is not over. It is written when it is dropped, so that none is missing.
#[derive(Debug)]
struct Line {
    path: Option<PathAndQuery>,
    started: Instant,
    peer: Peer,
    log: LogCalls,
    /// What the line says if it is dropped now.
    code: Code,
}

fn end(line: &mut Option<Line>, code: Code) {
    if let Some(mut line) = line.take() {
        line.code = code;
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let duration = self.started.elapsed();
        let path = self.path.as_ref().map_or("/", PathAndQuery::path);
        let flow = methods::flow(path);
        let cut = stall::cutting();
        if !cut && !self.log.wants(self.code, duration, flow) {
            return;
        }
        let method = if flow.is_some() { path } else { shortened(path) };
        // To the microsecond; a call does not last long enough to lose precision.
        let (code, duration_ms) = (self.code, duration.as_micros() as f64 / 1e3);
        if cut {
            tracing::warn!(method, ?code, duration_ms, peer = %self.peer, caller = "anonymous", "call: cut, its client does not read");
        } else if ours(code) {
            tracing::error!(method, ?code, duration_ms, peer = %self.peer, caller = "anonymous", "call");
        } else {
            tracing::info!(method, ?code, duration_ms, peer = %self.peer, caller = "anonymous", "call");
        }
    }
}

/// A path that a stranger made up: it may hold any UTF-8, but no controls.
fn shortened(path: &str) -> &str {
    let mut cuts = (0..=UNKNOWN_PATH_BYTES_MAX.min(path.len())).rev();
    let cut = cuts.find(|&cut| path.is_char_boundary(cut));
    &path[..cut.unwrap_or_default()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ours_or_slow_gets_a_line_in_any_mode() {
        let quick = SLOW - Duration::from_millis(1);
        let (unary, streaming) = (Some(Flow::Unary), Some(Flow::Streaming));
        for (code, duration, flow, expected) in [
            (Code::Ok, quick, unary, false),
            (Code::Ok, SLOW, unary, true),
            (Code::Ok, SLOW, streaming, false),
            (Code::Ok, SLOW, None, false),
            (Code::NotFound, quick, unary, false),
            (Code::Unimplemented, quick, None, false),
            (Code::Cancelled, quick, streaming, false),
            (Code::ResourceExhausted, quick, unary, false),
            (Code::Unavailable, quick, streaming, false),
            (Code::DeadlineExceeded, SLOW, unary, true),
            (Code::Internal, quick, streaming, true),
            (Code::Unknown, quick, None, true),
            (Code::DataLoss, quick, unary, true),
        ] {
            let case = format!("{code:?} {duration:?} {flow:?}");
            assert_eq!(LogCalls::Failures.wants(code, duration, flow), expected, "{case}");
            assert!(LogCalls::All.wants(code, duration, flow), "{case}");
        }
    }

    #[test]
    fn the_path_of_a_stranger_is_cut() {
        assert_eq!(shortened("/a/b"), "/a/b");
        assert_eq!(shortened(&"x".repeat(8000)).len(), UNKNOWN_PATH_BYTES_MAX);
        let odd = format!("/{}", "é".repeat(4000));
        assert_eq!(shortened(&odd).len(), UNKNOWN_PATH_BYTES_MAX - 1);
    }
}
