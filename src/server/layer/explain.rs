//! Gives the errors of the codec below a code and a reason of ours.
//!
//! tonic decodes requests and encodes answers around our handlers, and answers for itself when it
//! cannot, with a status that has no ErrorInfo: which is also how it is told from ours. What it
//! meets within a client's stream, the handler of the stream explains in the same words.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tonic::{Code, Status};
use tower::Service;

use crate::service::status;

/// The layer.
#[derive(Clone, Debug)]
pub(in crate::server) struct Explain<S> {
    inner: S,
}

impl<S> Explain<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S, B, R> Service<Request<B>> for Explain<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = Response<ExplainedBody<R>>;
    type Error = S::Error;
    type Future = Explained<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        Explained { inner: self.inner.call(request) }
    }
}

pin_project! {
    /// A call whose status may be replaced.
    pub(in crate::server) struct Explained<F> {
        #[pin]
        inner: F,
    }
}

impl<F, R, E> Future for Explained<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<ExplainedBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().inner.poll(cx).map_ok(|mut response| {
            explain(response.headers_mut());
            response.map(|inner| ExplainedBody { inner })
        })
    }
}

pin_project! {
    /// A body whose trailers may be replaced.
    #[derive(Default)]
    pub(in crate::server) struct ExplainedBody<R> {
        #[pin]
        inner: R,
    }
}

impl<R: Body<Data = Bytes, Error = Status>> Body for ExplainedBody<R> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut frame = ready!(self.project().inner.poll_frame(cx));
        if let Some(Ok(frame)) = &mut frame
            && let Some(trailers) = frame.trailers_mut()
        {
            explain(trailers);
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

/// Replaces a status that is not ours. One without an error, or without any status, is left alone.
fn explain(headers: &mut HeaderMap) {
    let ours = headers.contains_key(Status::GRPC_STATUS_DETAILS);
    let Some(code) = headers.get(Status::GRPC_STATUS).filter(|_| !ours) else {
        return;
    };
    let code = Code::from_bytes(code.as_bytes());
    if code == Code::Ok {
        return;
    }
    let text = Status::from_header_map(headers).map(|status| status.message().to_owned());
    let explained = explained(code, text.unwrap_or_default());
    // The text is percent-encoded and the details are base64, so a header takes them.
    let _ = explained.add_header(headers);
}

fn explained(code: Code, text: String) -> Status {
    match status::codec_code_and_reason(code) {
        (Code::InvalidArgument, reason) => super::invalid(reason, "message", text),
        (code, reason) => status::status(code, reason, text),
    }
}

#[cfg(test)]
mod tests {
    use tonic_types::StatusExt;

    use super::*;

    #[test]
    fn the_codecs_errors_get_a_code_and_a_reason() {
        for (theirs, code, reason) in [
            (Status::internal("no protobuf"), Code::InvalidArgument, "MESSAGE_MALFORMED"),
            (Status::out_of_range("too large"), Code::ResourceExhausted, "MESSAGE_TOO_LARGE"),
            (Status::unimplemented("gzip"), Code::Unimplemented, "NOT_IMPLEMENTED"),
            (Status::not_found("symbol"), Code::NotFound, "SYMBOL_UNKNOWN"),
            (Status::cancelled("h2"), Code::Cancelled, "TRANSPORT"),
        ] {
            let mut response = theirs.clone().into_http::<()>();
            explain(response.headers_mut());
            let explained = Status::from_header_map(response.headers()).unwrap();
            assert_eq!((explained.code(), explained.message()), (code, theirs.message()));
            assert_eq!(explained.get_details_error_info().unwrap().reason, reason);
        }
    }

    #[test]
    fn success_and_our_own_errors_are_left_alone() {
        let ours = status::status(Code::Internal, "INTERNAL", "ours").into_http::<()>();
        let success = Status::ok("").into_http::<()>();
        let no_status = Response::new(());
        for response in [ours, success, no_status] {
            let mut headers = response.headers().clone();
            explain(&mut headers);
            assert_eq!(&headers, response.headers());
        }
    }
}
