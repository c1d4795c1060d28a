//! What the directory can answer instead of doing what it was asked.

use super::{AttributesError, EmailError, NameError, Revision};

/// An answer to a caller. Each variant is something a caller can act on, and becomes one gRPC code
/// in one place.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Fields break their limits; nothing was done.
    #[error("{}", describe(.0))]
    Invalid(Vec<Violation>),
    /// There is no such user.
    #[error("there is no such user")]
    UserNotFound,
    /// Another user has this email, in some spelling.
    #[error("a user with this email exists")]
    EmailTaken,
    /// The user has another revision than the caller expects.
    #[error("the user is at revision {current}, not at the expected one")]
    RevisionMismatch {
        /// The revision the user has.
        current: Revision,
    },
    /// The request id was used before for other content.
    #[error("request_id was used before for another request")]
    RequestIdReused,
    /// A bounded queue is full; trying again soon may help.
    #[error("{0} is full, try again soon")]
    Overloaded(&'static str),
    /// The volume of the data directory has no room for writes; reads go on.
    #[error("the disk is full, so writes are refused until there is room")]
    DiskFull,
    /// The daemon is opening its directory or stopping.
    #[error("the directory is {0}")]
    Unavailable(&'static str),
    /// Our failure. The caller learns only that it was not theirs.
    #[error("internal fault")]
    Fault(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// A failure of ours, with its source for the log.
    pub fn fault(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Fault(source.into())
    }
}

/// One field of a request that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The path of the field in the request message.
    pub field: String,
    /// The rule.
    pub reason: Reason,
}

impl Violation {
    /// A field and the rule it breaks.
    pub fn new(field: impl Into<String>, reason: impl Into<Reason>) -> Self {
        Self { field: field.into(), reason: reason.into() }
    }
}

/// The rules that a field can break. Each reads on from the name of its field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// See [`EmailError`].
    #[error(transparent)]
    Email(#[from] EmailError),
    /// See [`NameError`].
    #[error(transparent)]
    Name(#[from] NameError),
    /// See [`AttributesError`].
    #[error(transparent)]
    Attributes(#[from] AttributesError),
    /// The user with all fields is larger than a record may be.
    #[error("make the user larger than 6 KiB")]
    RecordTooLarge,
    /// A required field is missing.
    #[error("is required")]
    Missing,
    /// Not a UUID.
    #[error("is not a UUID")]
    NotAUuid,
    /// A number below zero.
    #[error("is negative")]
    Negative,
    /// More items than allowed.
    #[error("has more than {0} items")]
    TooMany(usize),
    /// An enum value that this server does not know, or UNSPECIFIED where a value is needed.
    #[error("is not a known value")]
    UnknownValue,
    /// A path that names no field that can be changed.
    #[error("names {0:?}, which cannot be changed")]
    UnknownPath(String),
    /// A position that this method never gave out.
    #[error("is not a position of this listing")]
    NotAPosition,
    /// A password of a length out of bounds.
    #[error("must have {min} to {max} bytes")]
    PasswordLength {
        /// The least bytes.
        min: usize,
        /// The most bytes.
        max: usize,
    },
    /// A password with characters that RFC 8265 does not allow.
    #[error("has a character that a password cannot have (RFC 8265)")]
    PasswordCharacter,
}

fn describe(violations: &[Violation]) -> String {
    let each: Vec<String> =
        violations.iter().map(|v| format!("{} {}", v.field, v.reason)).collect();
    each.join("; ")
}
