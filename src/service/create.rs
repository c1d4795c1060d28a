//! The way of one new user from a checked request to a write: first what can be answered without
//! hashing a password, then the hash, which each caller waits for in its own way.

use super::parse::Create;
use crate::auth::Password;
use crate::directory::Directory;
use crate::domain::{Actor, Credential, Error, NewUser, Outcome, RequestId, User, Write, WriteOp};

/// What is left to do for a CreateUser request.
pub(super) enum Begun {
    /// Nothing: the request was made before, and this was the answer.
    Answered(User),
    /// Hash the password, then write.
    Ready(Ready),
}

/// A new user who waits for a credential.
pub(super) struct Ready {
    actor: Actor,
    request: Option<RequestId>,
    user: NewUser,
    /// What to hash.
    pub(super) password: Option<Password>,
}

impl Begun {
    /// Answers what the directory knows already.
    pub(super) fn new(create: Create, actor: Actor, directory: &Directory) -> Result<Self, Error> {
        let Create { user, password, repeat } = create;
        let request = repeat.map(|repeat| repeat.identify(directory));
        if let Some(request) = &request {
            if let Some(first) = directory.first_answer(&actor, request)? {
                return answered_user(first).map(Self::Answered);
            }
        } else if password.is_some() && directory.user_by_email(user.email.canonical()).is_some() {
            // Saves the hash of a user who cannot be created. With a request id only the writer
            // can tell: the user may be the one that this very request is creating.
            return Err(Error::EmailTaken);
        }
        Ok(Self::Ready(Ready { actor, request, user, password }))
    }
}

impl Ready {
    /// The write, with the hash of the password.
    pub(super) fn into_write(self, credential: Option<Credential>) -> Write {
        let Self { actor, request, user, password: _ } = self;
        Write { actor, request, op: WriteOp::Create(NewUser { credential, ..user }) }
    }
}

/// The user whom a write answered. Only a deletion answers nobody.
pub(super) fn answered_user(outcome: Outcome) -> Result<User, Error> {
    outcome.ok_or_else(|| Error::fault("a write that is no deletion was answered without a user"))
}
