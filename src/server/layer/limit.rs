//! The bound of the calls in flight. Over it a call is not begun, and answered RESOURCE_EXHAUSTED
//! with the time after which to try again.
//!
//! A call holds its place until the body of its answer has ended or is dropped.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::Either;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tonic::Status;
use tower::Service;

use super::refuse::Refusal;
use crate::domain;

/// The count of calls in flight, and its bound.
#[derive(Debug)]
pub(in crate::server) struct InFlight {
    calls: Arc<AtomicUsize>,
    max: usize,
}

impl InFlight {
    pub(in crate::server) fn new(max: usize) -> Self {
        Self { calls: Arc::default(), max }
    }

    /// The same count for another runtime. Its reference count is that runtime's own, so that the
    /// cores contend for nothing but the count itself.
    pub(in crate::server) fn share(&self) -> Arc<Self> {
        Arc::new(Self { calls: Arc::clone(&self.calls), max: self.max })
    }

    /// The calls in flight now.
    pub(in crate::server) fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    fn enter(self: &Arc<Self>) -> Option<Place> {
        // The count guards no other memory, so it needs no order.
        // A refused call never counts, so that a flood of them refuses nobody else.
        let next = |calls| (calls < self.max).then_some(calls + 1);
        self.calls.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).ok()?;
        Some(Place { in_flight: Arc::clone(self) })
    }
}

/// The place of one call; dropping it gives it back.
#[derive(Debug)]
struct Place {
    in_flight: Arc<InFlight>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.in_flight.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The layer.
#[derive(Clone, Debug)]
pub(in crate::server) struct Limit<S> {
    inner: S,
    in_flight: Arc<InFlight>,
}

impl<S> Limit<S> {
    pub(super) fn new(inner: S, in_flight: Arc<InFlight>) -> Self {
        Self { inner, in_flight }
    }
}

impl<S, B, R> Service<Request<B>> for Limit<S>
where
    S: Service<Request<B>, Response = Response<R>, Error = Infallible>,
    B: Body,
    R: Default,
{
    type Response = Response<LimitedBody<R>>;
    type Error = Infallible;
    type Future = Either<Limited<S::Future>, Refusal<B, LimitedBody<R>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match self.in_flight.enter() {
            Some(place) => {
                Either::Left(Limited { inner: self.inner.call(request), place: Some(place) })
            }
            None => {
                let status = Status::from(domain::Error::Overloaded("the server"));
                Either::Right(Refusal::new(status.into_http(), request.into_body()))
            }
        }
    }
}

pin_project! {
    /// A call that has its place.
    pub(in crate::server) struct Limited<F> {
        #[pin]
        inner: F,
        place: Option<Place>,
    }
}

impl<F, R, E> Future for Limited<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<LimitedBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        this.inner.poll(cx).map_ok(|response| {
            let place = this.place.take();
            response.map(|inner| LimitedBody { inner, place })
        })
    }
}

pin_project! {
    /// The body of an answer that holds the place of its call.
    #[derive(Default)]
    pub(in crate::server) struct LimitedBody<R> {
        #[pin]
        inner: R,
        place: Option<Place>,
    }
}

impl<R: Body<Data = Bytes, Error = Status>> Body for LimitedBody<R> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.project().inner.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_it_is_dropped() {
        let here = InFlight::new(2).share();
        let there = here.share();
        let first = here.enter().unwrap();
        let _second = there.enter().unwrap();
        assert!(here.enter().is_none());
        assert!(there.enter().is_none(), "a refused call holds no place");
        drop(first);
        assert!(there.enter().is_some());
    }
}
