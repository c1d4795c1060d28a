//! A panic of a handler is one call's problem: it answers INTERNAL, and the connection goes on.
//!
//! The caller hears no more than an id, which is also in the log beside the place of the panic. A
//! future or body that has panicked is never polled again. A panic inside of the store is not
//! contained here: the directory ends the process for it before it gets this far.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tonic::Status;
use tower::Service;

use crate::domain;

/// The layer.
#[derive(Clone, Debug)]
pub(in crate::server) struct Contain<S> {
    inner: S,
}

impl<S> Contain<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S, B, R> Service<Request<B>> for Contain<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Body<Data = Bytes, Error = Status> + Default,
{
    type Response = Response<ContainedBody<R>>;
    type Error = S::Error;
    type Future = Contained<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        Contained { inner: self.inner.call(request) }
    }
}

pin_project! {
    /// A call whose panic is caught.
    pub(in crate::server) struct Contained<F> {
        #[pin]
        inner: F,
    }
}

impl<F, R, E> Future for Contained<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Body<Data = Bytes, Error = Status> + Default,
{
    type Output = Result<Response<ContainedBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let inner = self.project().inner;
        // Nothing that the call has left half done is looked at again: this future is over.
        match catch_unwind(AssertUnwindSafe(|| inner.poll(cx))) {
            Ok(polled) => polled.map_ok(|response| response.map(ContainedBody::new)),
            Err(_) => Poll::Ready(Ok(panicked().into_http::<R>().map(ContainedBody::new))),
        }
    }
}

pin_project! {
    /// A body whose panic is caught and becomes its trailers.
    pub(in crate::server) struct ContainedBody<R> {
        // None once it has panicked.
        #[pin]
        inner: Option<R>,
    }
}

impl<R> ContainedBody<R> {
    fn new(inner: R) -> Self {
        Self { inner: Some(inner) }
    }
}

impl<R: Body<Data = Bytes, Error = Status>> Body for ContainedBody<R> {
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
        catch_unwind(AssertUnwindSafe(|| inner.poll_frame(cx))).unwrap_or_else(|_| {
            this.inner.set(None);
            Poll::Ready(Some(super::trailers(&panicked())))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

/// The answer to a call that panicked; the log gets its id.
fn panicked() -> Status {
    domain::Error::Fault("a handler panicked".into()).into()
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tonic::Code;
    use tower::{ServiceExt, service_fn};

    use super::*;

    /// A body that panics when it is asked for a frame.
    #[derive(Default)]
    struct Panics;

    impl Body for Panics {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
            panic!("in the body");
        }
    }

    async fn call(panics: bool) -> Response<ContainedBody<Panics>> {
        let inner = service_fn(move |_: Request<()>| async move {
            assert!(!panics, "in the handler");
            Ok::<_, Infallible>(Response::new(Panics))
        });
        Contain::new(inner).oneshot(Request::new(())).await.unwrap()
    }

    #[tokio::test]
    async fn a_panic_of_a_handler_is_internal_and_opaque() {
        let response = call(true).await;
        let status = Status::from_header_map(response.headers()).unwrap();
        assert_eq!(status.code(), Code::Internal);
        assert!(!status.message().contains("handler"), "{status:?}");
    }

    #[tokio::test]
    async fn a_panic_of_a_body_ends_it_with_internal() {
        let mut body = std::pin::pin!(call(false).await.into_body());
        let frame = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await;
        let trailers = frame.unwrap().unwrap().into_trailers().unwrap();
        assert_eq!(Status::from_header_map(&trailers).unwrap().code(), Code::Internal);
        let end = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await;
        assert!(end.is_none());
    }
}
