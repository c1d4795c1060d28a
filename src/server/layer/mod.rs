//! What happens to every call before and after its handler, outermost first.
//!
//! | layer | does | why there |
//! |---|---|---|
//! | trace | one line a call | sees every answer, also those of the layers below |
//! | contain | turns a panic into INTERNAL | below trace, so that the line says so |
//! | limit | bounds the calls in flight | before anything is spent on the call |
//! | deadline | ends the call in time | its clock covers all of the work below |
//! | explain | gives the codec's errors a code and a reason of ours | next to where they arise |
//!
//! Then the router. Authentication comes between deadline and explain.
//!
//! A call is over when the body of its answer is, so each of these wraps the body as well as the
//! future. They hold no lock, and box nothing. All services are always ready: `poll_ready` passes
//! through, and a bound that is reached answers instead of making the connection wait.

mod contain;
mod deadline;
mod explain;
mod limit;
mod refuse;
mod trace;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::address::Peer;
use super::router::Router;
use crate::service::status;
use contain::Contain;
use deadline::Deadline;
use explain::Explain;
pub(super) use limit::InFlight;
use limit::Limit;
pub(super) use refuse::Refusal;
pub use trace::LogCalls;
use trace::Trace;

/// The layers of one runtime.
#[derive(Clone)]
pub(super) struct Layers {
    pub(super) log_calls: LogCalls,
    pub(super) in_flight: Arc<InFlight>,
    pub(super) unary_timeout: Duration,
    pub(super) router: Router,
}

impl Layers {
    /// The service of one connection.
    pub(super) fn around_connection(
        &self,
        peer: Peer,
    ) -> Trace<Contain<Limit<Deadline<Explain<Router>>>>> {
        let explain = Explain::new(self.router.clone());
        let deadline = Deadline::new(explain, self.unary_timeout);
        let limit = Limit::new(deadline, Arc::clone(&self.in_flight));
        Trace::new(Contain::new(limit), peer, self.log_calls)
    }
}

/// The end of a body: a status in place of the frames that would have followed.
fn trailers(status: &Status) -> Result<Frame<Bytes>, Status> {
    let mut trailers = HeaderMap::new();
    status.add_header(&mut trailers)?;
    Ok(Frame::trailers(trailers))
}

/// INVALID_ARGUMENT for what is no field of a message; a BadRequest names it all the same.
pub(super) fn invalid(reason: &str, field: &str, text: impl Into<String>) -> Status {
    let text = text.into();
    let mut details = status::status(Code::InvalidArgument, reason, "").get_error_details();
    details.add_bad_request_violation(field, text.clone());
    Status::with_error_details(Code::InvalidArgument, text, details)
}
