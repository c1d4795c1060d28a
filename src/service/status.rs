//! The one place that turns an error into a gRPC status.
//!
//! | error | code | reason |
//! |---|---|---|
//! | `Invalid` | INVALID_ARGUMENT | FIELD_INVALID, with a BadRequest naming each field |
//! | `UserNotFound` | NOT_FOUND | USER_NOT_FOUND |
//! | `EmailTaken` | ALREADY_EXISTS | EMAIL_TAKEN |
//! | `RevisionMismatch` | ABORTED | REVISION_MISMATCH, with the current revision |
//! | `RequestIdReused` | ALREADY_EXISTS | REQUEST_ID_REUSED |
//! | `Overloaded` | RESOURCE_EXHAUSTED | OVERLOADED, with a RetryInfo |
//! | `DiskFull` | RESOURCE_EXHAUSTED | DISK_FULL, with a RetryInfo |
//! | `Unavailable` | UNAVAILABLE | UNAVAILABLE, with a RetryInfo |
//! | `Fault` | INTERNAL | INTERNAL, with an id that is in the log |

use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};
use uuid::Uuid;

use crate::domain::Error;

/// The domain of every ErrorInfo that this server sends.
const DOMAIN: &str = "rosterd";

const RETRY_OVERLOADED: Duration = Duration::from_millis(200);
const RETRY_UNAVAILABLE: Duration = Duration::from_secs(1);
const RETRY_DISK_FULL: Duration = Duration::from_secs(10);

/// A status with an ErrorInfo, for answers that do not come from the directory.
pub fn status(code: Code, reason: &str, message: impl Into<String>) -> Status {
    Status::with_error_details(code, message, info(reason, &[]))
}

/// As [`status`], with metadata in the ErrorInfo.
pub fn status_with(
    code: Code,
    reason: &str,
    message: impl Into<String>,
    metadata: &[(&str, String)],
) -> Status {
    Status::with_error_details(code, message, info(reason, metadata))
}

/// The answer to a call that waited longer than its deadline.
pub fn deadline_exceeded() -> Status {
    status(Code::DeadlineExceeded, "DEADLINE_EXCEEDED", "the deadline of the call has passed")
}

/// The code and the reason of an error.
pub fn code_and_reason(error: &Error) -> (Code, &'static str) {
    match error {
        Error::Invalid(_) => (Code::InvalidArgument, "FIELD_INVALID"),
        Error::UserNotFound => (Code::NotFound, "USER_NOT_FOUND"),
        Error::EmailTaken => (Code::AlreadyExists, "EMAIL_TAKEN"),
        Error::RevisionMismatch { .. } => (Code::Aborted, "REVISION_MISMATCH"),
        Error::RequestIdReused => (Code::AlreadyExists, "REQUEST_ID_REUSED"),
        Error::Overloaded(_) => (Code::ResourceExhausted, "OVERLOADED"),
        Error::DiskFull => (Code::ResourceExhausted, "DISK_FULL"),
        Error::Unavailable(_) => (Code::Unavailable, "UNAVAILABLE"),
        Error::Fault(_) => (Code::Internal, "INTERNAL"),
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let (code, reason) = code_and_reason(&error);
        let mut message = error.to_string();
        let mut details = info(reason, &[]);
        match &error {
            Error::Invalid(violations) => {
                for violation in violations {
                    details.add_bad_request_violation(
                        violation.field.as_str(),
                        violation.reason.to_string(),
                    );
                }
            }
            Error::RevisionMismatch { current } => {
                details = info(reason, &[("current_revision", current.to_string())]);
            }
            Error::Overloaded(_) => {
                details.set_retry_info(Some(RETRY_OVERLOADED));
            }
            Error::DiskFull => {
                details.set_retry_info(Some(RETRY_DISK_FULL));
            }
            Error::Unavailable(_) => {
                details.set_retry_info(Some(RETRY_UNAVAILABLE));
            }
            Error::Fault(source) => {
                let id = Uuid::new_v4();
                // Logged once, here, in full; the caller learns only that it was not their fault.
                tracing::error!(fault = %id, error = %source, "a call met a fault of ours");
                message = format!("internal fault {id}; the server's log says more");
                details = info(reason, &[("fault_id", id.to_string())]);
            }
            Error::UserNotFound | Error::EmailTaken | Error::RequestIdReused => {}
        }
        Self::with_error_details(code, message, details)
    }
}

fn info(reason: &str, metadata: &[(&str, String)]) -> ErrorDetails {
    let metadata: Vec<_> =
        metadata.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    ErrorDetails::with_error_info(
        reason,
        DOMAIN,
        metadata.into_iter().collect::<std::collections::HashMap<_, _>>(),
    )
}
