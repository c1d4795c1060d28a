//! UserUpdates: one live session, in which updates are applied one after the other.
//!
//! The client pulls: the next request is read when the answer to the one before has been taken, so
//! at most one update is at work, and a client that does not read its answers is not read either.
//! An error ends the session; its `ordinal` is that of the first update that was not applied.

use futures_util::stream::{self, Stream};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use super::incoming::{self, Incoming, STREAM_IDLE};
use super::patch::Update;
use super::status::{status_with, status_within};
use super::users::Users;
use crate::domain::{Actor, Error, Reason, Violation};
use crate::pb::user::v1 as pb;
use crate::pb::user::v1::user_update_request::Action;

/// A session and where it stands.
pub(super) struct Session {
    users: Users,
    actor: Actor,
    draining: CancellationToken,
    /// How many updates have been applied: the number of the next one.
    ordinal: u64,
}

impl Session {
    pub(super) fn new(users: Users, actor: Actor, draining: CancellationToken) -> Self {
        Self { users, actor, draining, ordinal: 0 }
    }

    /// The users after each update, until the client has sent all, or an error.
    pub(super) fn run(
        self,
        requests: impl Stream<Item = Result<pb::UserUpdateRequest, Status>> + Send + Unpin + 'static,
    ) -> impl Stream<Item = Result<pb::User, Status>> + Send + 'static {
        stream::try_unfold((self, requests), |(mut session, mut requests)| async move {
            let Some(request) = session.next(&mut requests).await? else { return Ok(None) };
            let user = session.apply(request).await?;
            Ok(Some((user, (session, requests))))
        })
    }

    /// Waits for the next request; `None` when the client has sent all.
    async fn next(
        &self,
        requests: &mut (impl Stream<Item = Result<pb::UserUpdateRequest, Status>> + Unpin),
    ) -> Result<Option<pb::UserUpdateRequest>, Status> {
        match incoming::next(requests, self.draining.cancelled(), STREAM_IDLE).await {
            Incoming::Item(Ok(request)) => Ok(Some(request)),
            Incoming::Item(Err(status)) => Err(incoming::broken(&status, &self.place(), "")),
            Incoming::End => Ok(None),
            Incoming::Idle => Err(incoming::idle(&self.place(), "")),
            Incoming::Stopped => Err(self.refuse(Error::Unavailable("stopping"))),
        }
    }

    async fn apply(&mut self, request: pb::UserUpdateRequest) -> Result<pb::User, Status> {
        let update = match request.action {
            Some(Action::Update(update)) => update,
            Some(Action::Watch(_)) => return Err(self.refuse_watch()),
            // An action that this version does not know reads as none.
            None => {
                let violation = Violation::new("action", Reason::Missing);
                return Err(self.refuse(Error::Invalid(vec![violation])));
            }
        };
        let update = Update::parse(update).map_err(|error| self.refuse(error))?;
        let user = self.users.update(self.actor.clone(), update).await;
        let user = user.map_err(|error| self.refuse(error))?;
        self.ordinal += 1;
        Ok(user.into())
    }

    fn refuse(&self, error: Error) -> Status {
        status_within(error, &self.place(), "")
    }

    fn refuse_watch(&self) -> Status {
        let message = "this version has no watch in UserUpdates";
        status_with(Code::Unimplemented, "UNIMPLEMENTED", message, &self.place())
    }

    fn place(&self) -> [(&'static str, String); 1] {
        [("ordinal", self.ordinal.to_string())]
    }
}
