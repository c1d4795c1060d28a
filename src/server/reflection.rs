//! Reflection: what this server can be asked, for clients without our `.proto` files.
//!
//! Both versions, since grpcurl 1.8 and Python's client speak v1alpha only, and each of them lists
//! every service. A client holds its reflection call for as long as it likes, and tonic's handler
//! waits for it; so its requests end when the server drains, and the call with them.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic_reflection::server::{Builder, Error};
use tower::Service;
use tower::util::BoxCloneSyncService;

use super::methods::DESCRIPTORS;
use super::router::Routed;

/// The name of the service since 2022.
pub(super) const V1: &str = tonic_reflection::pb::v1::server_reflection_server::SERVICE_NAME;

/// The name of the service before.
pub(super) const V1_ALPHA: &str =
    tonic_reflection::pb::v1alpha::server_reflection_server::SERVICE_NAME;

/// tonic's handlers have no nameable type, so they are boxed; reflection can afford it.
type Handler = BoxCloneSyncService<Request<UntilDrain>, Response<tonic::body::Body>, Infallible>;

/// The reflection services.
#[derive(Clone)]
pub(super) struct Reflection {
    v1: Handler,
    v1alpha: Handler,
    draining: CancellationToken,
}

impl Reflection {
    /// Reflection over the descriptors of every service.
    ///
    /// # Errors
    ///
    /// If the descriptors, which are constants of this program, are no descriptors.
    pub(super) fn new(
        request_bytes_max: usize,
        draining: CancellationToken,
    ) -> Result<Self, Error> {
        let builder = || {
            let builder = Builder::configure().include_reflection_service(false);
            DESCRIPTORS.iter().fold(builder, |b, set| b.register_encoded_file_descriptor_set(set))
        };
        let v1 = builder().build_v1()?.max_decoding_message_size(request_bytes_max);
        let v1alpha = builder().build_v1alpha()?.max_decoding_message_size(request_bytes_max);
        let (v1, v1alpha) = (BoxCloneSyncService::new(v1), BoxCloneSyncService::new(v1alpha));
        Ok(Self { v1, v1alpha, draining })
    }

    pub(super) fn v1(&self, request: Request<Incoming>) -> Routed {
        self.v1.clone().call(self.until_drain(request))
    }

    pub(super) fn v1alpha(&self, request: Request<Incoming>) -> Routed {
        self.v1alpha.clone().call(self.until_drain(request))
    }

    fn until_drain(&self, request: Request<Incoming>) -> Request<UntilDrain> {
        let draining = self.draining.clone().cancelled_owned();
        request.map(|inner| UntilDrain { inner, draining })
    }
}

pin_project! {
    /// The body of a request, which ends when the server drains.
    pub(super) struct UntilDrain {
        #[pin]
        inner: Incoming,
        #[pin]
        draining: WaitForCancellationFutureOwned,
    }
}

impl Body for UntilDrain {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.project();
        if let Poll::Ready(frame) = this.inner.poll_frame(cx) {
            return Poll::Ready(frame);
        }
        this.draining.poll(cx).map(|()| None)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
