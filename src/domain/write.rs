//! What a caller may ask the directory to change.

use std::fmt;

use uuid::Uuid;

use super::user::fit_a_record;
use super::{Attributes, AttributesPatch, Email, Name, Revision, User, UserId, UserStatus};

/// Who asks: the subject of the caller's token, or `anonymous`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor(String);

impl Actor {
    /// The actor of calls without a token.
    pub fn anonymous() -> Self {
        Self("anonymous".to_owned())
    }

    /// The actor with this subject.
    pub fn new(subject: String) -> Self {
        Self(subject)
    }

    /// The subject.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A password's argon2id hash in PHC form. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential(String);

impl Credential {
    /// The credential with this PHC string.
    pub fn new(phc: String) -> Self {
        Self(phc)
    }

    /// The PHC string.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential")
    }
}

/// A new user, checked.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// The email.
    pub email: Email,
    /// The display name.
    pub name: Name,
    /// The status to begin with.
    pub status: UserStatus,
    /// Free attributes.
    pub attributes: Attributes,
    /// The hash of the password, if the user is to have one.
    pub credential: Option<Credential>,
}

impl NewUser {
    /// Whether the record of this user will stay within [`super::RECORD_BYTES_MAX`].
    pub fn fits_a_record(&self) -> bool {
        fit_a_record(&self.email, &self.name, &self.attributes)
    }
}

/// What an update changes; `None` leaves a field alone.
#[derive(Clone, Debug, Default)]
pub struct Patch {
    /// The new email.
    pub email: Option<Email>,
    /// The new name.
    pub name: Option<Name>,
    /// The new status.
    pub status: Option<UserStatus>,
    /// What happens to the attributes.
    pub attributes: AttributesPatch,
}

/// A keyed digest of all that a request says, to tell a repetition from another request.
pub type RequestMac = [u8; 32];

/// Makes a write repeatable: the same id of the same actor returns the first answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestId {
    /// The id that the caller chose.
    pub id: Uuid,
    /// The digest of what the caller asked for.
    pub mac: RequestMac,
}

/// One change that somebody asks for.
#[derive(Clone, Debug)]
pub struct Write {
    /// Who asks.
    pub actor: Actor,
    /// Whether the write may be repeated.
    pub request: Option<RequestId>,
    /// What is asked for.
    pub op: WriteOp,
}

/// The kinds of writes.
#[derive(Clone, Debug)]
pub enum WriteOp {
    /// Create a user.
    Create(NewUser),
    /// Change some fields of a user.
    Update {
        /// Whom to change.
        id: UserId,
        /// The revision that the user must have.
        expected: Option<Revision>,
        /// What to change.
        patch: Patch,
    },
    /// Delete a user.
    Delete {
        /// Whom to delete.
        id: UserId,
        /// The revision that the user must have.
        expected: Option<Revision>,
    },
}

/// What a write answers once it is durable: the user's new state, or nothing after a deletion.
pub type Outcome = Option<User>;
