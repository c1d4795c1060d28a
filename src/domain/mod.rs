//! The words of the directory: users, emails, revisions, changes, errors.
//!
//! Plain types that know neither disk nor wire. Whatever comes from outside becomes one of these by
//! a `parse` that checks every limit, so that the rest of the program never checks again. Disk
//! records and wire messages are other types, in `keyspace`, `journal` and `service`.

mod attributes;
mod change;
mod email;
mod error;
mod name;
mod revision;
mod timestamp;
mod user;
mod write;

pub use attributes::{Attributes, AttributesError, AttributesPatch};
pub use change::{Change, ChangeKind, Edit, Tally, Totals, Tree};
pub use email::{CANONICAL_FORM, CanonicalEmail, Email, EmailError};
pub use error::{Error, Reason, Violation};
pub use name::{Name, NameError};
pub use revision::{DirectoryId, Revision};
pub use timestamp::Timestamp;
pub use user::{RECORD_BYTES_MAX, User, UserId, UserStatus};
pub use write::{
    Actor, Credential, NewUser, Outcome, Patch, RequestId, RequestMac, Write, WriteOp,
};
