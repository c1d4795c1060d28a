//! Ends a call when its time is up, before its headers or in the midst of its body, with
//! DEADLINE_EXCEEDED.
//!
//! The time is what the caller allows (`grpc-timeout`), and for a unary call no more than ours.
//! tonic's own timeout answers CANCELLED, covers the time to the headers only, and knows no cap: so
//! this one stands in for it. What runs is dropped at the deadline; a write that has begun goes on
//! in the directory.
//!
//! A malformed `grpc-timeout` is refused. gRPC leaves this open (grpc-go refuses, others ignore
//! it), but a caller who asked for a deadline should not get an unbounded call.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::Either;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::Status;
use tower::Service;

use super::refuse::Refusal;
use crate::server::methods::{self, Flow};
use crate::service::status;

/// The layer.
#[derive(Clone, Debug)]
pub(in crate::server) struct Deadline<S> {
    inner: S,
    unary_timeout: Duration,
}

impl<S> Deadline<S> {
    pub(super) fn new(inner: S, unary_timeout: Duration) -> Self {
        Self { inner, unary_timeout }
    }

    /// When the call must be over; never, for a stream whose caller does not say.
    fn deadline<B>(&self, request: &Request<B>) -> Result<Option<Instant>, MalformedTimeout> {
        let asked = timeout(request.headers())?;
        let streams = methods::flow(request.uri().path()) == Some(Flow::Streaming);
        let cap = Some(self.unary_timeout).filter(|_| !streams);
        let timeout = asked.into_iter().chain(cap).min();
        // A time too far to be counted is as good as none.
        Ok(timeout.and_then(|timeout| Instant::now().checked_add(timeout)))
    }
}

impl<S, B, R> Service<Request<B>> for Deadline<S>
where
    S: Service<Request<B>, Response = Response<R>, Error = Infallible>,
    B: Body,
    R: Body<Data = Bytes, Error = Status> + Default,
{
    type Response = Response<TimedBody<R>>;
    type Error = Infallible;
    type Future = Either<Timed<S::Future>, Refusal<B, TimedBody<R>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match self.deadline(&request) {
            Ok(deadline) => {
                let inner = self.inner.call(request);
                Either::Left(Timed { inner, clock: Clock::new(deadline) })
            }
            Err(MalformedTimeout) => {
                let text = "grpc-timeout must be up to 8 digits and one of H M S m u n";
                let status = super::invalid("TIMEOUT_MALFORMED", "grpc-timeout", text);
                Either::Right(Refusal::new(status.into_http(), request.into_body()))
            }
        }
    }
}

pin_project! {
    /// Tells when the deadline has passed.
    #[derive(Default)]
    struct Clock {
        deadline: Option<Instant>,
        // Made when the call first has to wait: most never do.
        #[pin]
        sleep: Option<Sleep>,
    }
}

impl Clock {
    fn new(deadline: Option<Instant>) -> Self {
        Self { deadline, sleep: None }
    }

    /// True if the deadline is over, whether or not anybody waits for it.
    fn over(&self) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= Instant::now())
    }

    /// Ready at the deadline.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let Some(deadline) = *this.deadline else {
            return Poll::Pending;
        };
        if this.sleep.is_none() {
            this.sleep.set(Some(sleep_until(deadline)));
        }
        this.sleep.as_pin_mut().map_or(Poll::Pending, |sleep| sleep.poll(cx))
    }
}

pin_project! {
    /// A call with its clock.
    pub(in crate::server) struct Timed<F> {
        #[pin]
        inner: F,
        #[pin]
        clock: Clock,
    }
}

impl<F, R, E> Future for Timed<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Default,
{
    type Output = Result<Response<TimedBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if !this.clock.over() {
            if let Poll::Ready(answer) = this.inner.poll(cx) {
                let clock = Clock::new(this.clock.deadline);
                return Poll::Ready(
                    answer.map(|response| response.map(|inner| TimedBody::new(inner, clock))),
                );
            }
            ready!(this.clock.poll(cx));
        }
        Poll::Ready(Ok(status::deadline_exceeded().into_http()))
    }
}

pin_project! {
    /// A body that ends at the deadline.
    pub(in crate::server) struct TimedBody<R> {
        // None once the deadline has ended it.
        #[pin]
        inner: Option<R>,
        #[pin]
        clock: Clock,
    }
}

impl<R> TimedBody<R> {
    fn new(inner: R, clock: Clock) -> Self {
        Self { inner: Some(inner), clock }
    }
}

impl<R: Default> Default for TimedBody<R> {
    fn default() -> Self {
        Self::new(R::default(), Clock::default())
    }
}

impl<R: Body<Data = Bytes, Error = Status>> Body for TimedBody<R> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut this = self.project();
        let Some(inner) = this.inner.as_mut().as_pin_mut() else {
            return Poll::Ready(None);
        };
        if !this.clock.over() {
            if let Poll::Ready(frame) = inner.poll_frame(cx) {
                return Poll::Ready(frame);
            }
            ready!(this.clock.poll(cx));
        }
        this.inner.set(None);
        Poll::Ready(Some(super::trailers(&status::deadline_exceeded())))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

/// A `grpc-timeout` that is none.
#[derive(Debug, PartialEq, Eq)]
struct MalformedTimeout;

/// The time that the caller allows, if it says.
fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, MalformedTimeout> {
    headers.get("grpc-timeout").map(|value| parse_timeout(value.as_bytes())).transpose()
}

/// `TimeoutValue TimeoutUnit` of the gRPC protocol: one to eight digits and a letter.
fn parse_timeout(text: &[u8]) -> Result<Duration, MalformedTimeout> {
    let (unit, digits) = text.split_last().ok_or(MalformedTimeout)?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return Err(MalformedTimeout);
    }
    let value = digits.iter().fold(0, |value: u64, digit| value * 10 + u64::from(digit - b'0'));
    Ok(match unit {
        b'H' => Duration::from_secs(value * 3600),
        b'M' => Duration::from_secs(value * 60),
        b'S' => Duration::from_secs(value),
        b'm' => Duration::from_millis(value),
        b'u' => Duration::from_micros(value),
        b'n' => Duration::from_nanos(value),
        _ => return Err(MalformedTimeout),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_of_every_unit_are_read() {
        for (text, expected) in [
            ("1H", Duration::from_secs(3600)),
            ("2M", Duration::from_secs(120)),
            ("30S", Duration::from_secs(30)),
            ("100m", Duration::from_millis(100)),
            ("99999999u", Duration::from_micros(99_999_999)),
            ("00000007n", Duration::from_nanos(7)),
            ("0n", Duration::ZERO),
            ("99999999H", Duration::from_secs(99_999_999 * 3600)),
        ] {
            assert_eq!(parse_timeout(text.as_bytes()), Ok(expected), "{text}");
        }
    }

    #[test]
    fn anything_else_is_malformed() {
        for text in ["", "S", "1", "1s", "1 S", " 1S", "-1S", "+1S", "1.5S", "123456789n", "1SS"] {
            assert_eq!(parse_timeout(text.as_bytes()), Err(MalformedTimeout), "{text:?}");
        }
    }

    #[test]
    fn unary_calls_are_capped_and_streams_are_not() {
        let cap = Duration::from_secs(30);
        let (unary, stream) = ("/user.v1.UserService/GetUser", "/user.v1.UserService/ListUsers");
        for (path, asked, expected) in [
            (unary, None, Some(cap)),
            (unary, Some("5S"), Some(Duration::from_secs(5))),
            (unary, Some("1H"), Some(cap)),
            (stream, None, None),
            (stream, Some("1H"), Some(Duration::from_secs(3600))),
            ("/no.Such/Method", None, Some(cap)),
        ] {
            let mut request = Request::new(());
            *request.uri_mut() = path.parse().unwrap();
            if let Some(asked) = asked {
                request.headers_mut().insert("grpc-timeout", asked.parse().unwrap());
            }
            let before = Instant::now();
            let deadline = Deadline::new((), cap).deadline(&request).unwrap();
            let late = deadline.map(|d| d.checked_duration_since(before + expected.unwrap()));
            assert_eq!(deadline.is_some(), expected.is_some(), "{path} {asked:?}");
            assert!(late.is_none_or(|late| late.unwrap() < Duration::from_secs(3)), "{path}");
        }
    }
}
