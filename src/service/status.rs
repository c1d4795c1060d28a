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
//!
//! Some answers are about a stream or a method and not about the directory. They have reasons of
//! their own: STREAM_IDLE (DEADLINE_EXCEEDED), BULK_LIMIT_EXCEEDED (RESOURCE_EXHAUSTED),
//! UNIMPLEMENTED, DEADLINE_EXCEEDED, and those of the codec, see [`codec_code_and_reason`].
//!
//! A status travels in trailers, and many clients take no more than 8 KiB of them. So the message,
//! which is in them twice, and the violations are cut to what keeps the sum below 6 KiB.

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};
use uuid::Uuid;

use crate::domain::Error;

/// The domain of every ErrorInfo that this server sends.
const DOMAIN: &str = "rosterd";

/// Percent-encoded it may be three times as long.
const MESSAGE_BYTES_MAX: usize = 512;

/// More than the fields that a request can get wrong.
const VIOLATIONS_MAX: usize = 12;
const DESCRIPTION_BYTES_MAX: usize = 128;

const RETRY_OVERLOADED: Duration = Duration::from_millis(200);
const RETRY_UNAVAILABLE: Duration = Duration::from_secs(1);
const RETRY_DISK_FULL: Duration = Duration::from_secs(10);

/// A status with an ErrorInfo, for answers that do not come from the directory.
pub fn status(code: Code, reason: &str, message: impl Into<String>) -> Status {
    status_with(code, reason, message, &[])
}

/// As [`status`], with metadata in the ErrorInfo, and a RetryInfo if trying again may help. It does
/// not after RESOURCE_EXHAUSTED, which here is about a bound of the request and not about load.
pub fn status_with(
    code: Code,
    reason: &str,
    message: impl Into<String>,
    metadata: &[(&str, String)],
) -> Status {
    let mut details = info(reason, metadata);
    if code == Code::Unavailable {
        details.set_retry_info(Some(RETRY_UNAVAILABLE));
    }
    Status::with_error_details(code, cut(message.into(), MESSAGE_BYTES_MAX), details)
}

/// The status of an error within a stream: `metadata` says where in the stream it was met, `remark`
/// says it to a person, after the error's own message.
pub fn status_within(error: Error, metadata: &[(&str, String)], remark: &str) -> Status {
    let (code, reason) = code_and_reason(&error);
    let mut message = error.to_string();
    let mut metadata = metadata.to_vec();
    let mut details = ErrorDetails::new();
    match &error {
        Error::Invalid(violations) => {
            for violation in violations.iter().take(VIOLATIONS_MAX) {
                let description = cut(violation.reason.to_string(), DESCRIPTION_BYTES_MAX);
                details.add_bad_request_violation(violation.field.as_str(), description);
            }
        }
        Error::RevisionMismatch { current } => {
            metadata.push(("current_revision", current.to_string()));
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
            metadata.push(("fault_id", id.to_string()));
        }
        Error::UserNotFound | Error::EmailTaken | Error::RequestIdReused => {}
    }
    details.set_error_info(reason, DOMAIN, owned(&metadata));
    Status::with_error_details(code, cut(message, MESSAGE_BYTES_MAX) + remark, details)
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

/// The code and the reason of an error that the codec below met: in the one message of a call, or
/// within a client's stream. A message that is no protobuf it calls INTERNAL, though the caller sent
/// it; a message above the limit OUT_OF_RANGE, though callers take that for the end of a listing.
pub fn codec_code_and_reason(theirs: Code) -> (Code, &'static str) {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the codec uses few of the codes")]
    match theirs {
        Code::Internal => (Code::InvalidArgument, "MESSAGE_MALFORMED"),
        Code::OutOfRange => (Code::ResourceExhausted, "MESSAGE_TOO_LARGE"),
        Code::Unimplemented => (theirs, "NOT_IMPLEMENTED"),
        // From reflection: a symbol, a file or an extension that there is not.
        Code::NotFound => (theirs, "SYMBOL_UNKNOWN"),
        _ => (theirs, "TRANSPORT"),
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        status_within(error, &[], "")
    }
}

fn info(reason: &str, metadata: &[(&str, String)]) -> ErrorDetails {
    ErrorDetails::with_error_info(reason, DOMAIN, owned(metadata))
}

/// The text, or as many whole characters of it as have this many bytes.
fn cut(mut text: String, bytes_max: usize) -> String {
    let mut end = bytes_max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

fn owned(metadata: &[(&str, String)]) -> HashMap<String, String> {
    metadata.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use crate::domain::{EmailError, Reason, Revision, Violation};

    use super::*;

    /// Every error with its code, its reason, the metadata it adds and whether it says when to try
    /// again.
    #[test]
    fn every_error_has_its_code_its_reason_and_its_details() {
        for (error, code, reason, metadata, retry) in [
            (
                Error::Invalid(vec![Violation::new("email", EmailError::NoAt)]),
                Code::InvalidArgument,
                "FIELD_INVALID",
                None,
                false,
            ),
            (Error::UserNotFound, Code::NotFound, "USER_NOT_FOUND", None, false),
            (Error::EmailTaken, Code::AlreadyExists, "EMAIL_TAKEN", None, false),
            (
                Error::RevisionMismatch { current: Revision::new(7) },
                Code::Aborted,
                "REVISION_MISMATCH",
                Some("current_revision"),
                false,
            ),
            (Error::RequestIdReused, Code::AlreadyExists, "REQUEST_ID_REUSED", None, false),
            (Error::Overloaded("x"), Code::ResourceExhausted, "OVERLOADED", None, true),
            (Error::DiskFull, Code::ResourceExhausted, "DISK_FULL", None, true),
            (Error::Unavailable("starting"), Code::Unavailable, "UNAVAILABLE", None, true),
            (Error::fault("secret"), Code::Internal, "INTERNAL", Some("fault_id"), false),
        ] {
            let status = Status::from(error);
            let details = status.get_error_details();
            let info = details.error_info().unwrap();
            assert_eq!((status.code(), info.reason.as_str()), (code, reason));
            assert_eq!(info.domain, DOMAIN);
            assert_eq!(info.metadata.keys().next().map(String::as_str), metadata, "{reason}");
            assert_eq!(details.retry_info().is_some(), retry, "{reason}");
            assert!(!status.message().contains("secret"));
        }
    }

    #[test]
    fn what_can_never_succeed_is_not_told_to_be_tried_again() {
        for (code, retry) in [(Code::ResourceExhausted, false), (Code::Unavailable, true)] {
            let status = status(code, "SOME_REASON", "some text");
            assert_eq!(status.get_details_retry_info().is_some(), retry, "{code:?}");
        }
    }

    #[test]
    fn an_invalid_request_names_every_field() {
        let status = Status::from(Error::Invalid(vec![
            Violation::new("email", EmailError::NoAt),
            Violation::new("page_size", Reason::Negative),
        ]));
        let details = status.get_error_details();
        let fields: Vec<_> = details.bad_request().unwrap().field_violations.iter().collect();
        assert_eq!(fields.len(), 2);
        assert_eq!(
            (fields[0].field.as_str(), fields[0].description.as_str()),
            ("email", "has no @")
        );
        assert_eq!(status.message(), "email has no @; page_size is negative");
    }

    /// As HTTP/2 counts the headers of an answer.
    fn header_bytes(status: Status) -> usize {
        let response = status.into_http::<()>();
        response.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum()
    }

    #[test]
    fn no_status_outgrows_what_clients_take() {
        let path = |text: &str| Reason::UnknownPath(text.repeat(10_000));
        let metadata = [("created_count", "100000".to_owned()), ("failed_count", "0".to_owned())];
        for text in ["x", "é", "🦀", "\"", "{"] {
            let violation = Violation::new("expected_revision", path(text));
            let error = Error::Invalid(vec![violation; 1000]);
            let invalid = header_bytes(status_within(error, &metadata, &"; ".repeat(50)));
            let other = status_with(Code::Internal, "TRANSPORT", text.repeat(10_000), &metadata);
            assert!(invalid < 6 * 1024, "{text} {invalid}");
            assert!(header_bytes(other) < 6 * 1024, "{text}");
        }
    }

    #[test]
    fn an_error_within_a_stream_says_where_it_was_met() {
        let status = status_within(Error::EmailTaken, &[("ordinal", "3".to_owned())], ", you see");
        assert_eq!(status.message(), "a user with this email exists, you see");
        assert_eq!(status.get_error_details().error_info().unwrap().metadata["ordinal"], "3");
    }
}
