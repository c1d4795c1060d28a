//! `user.v1.UserService`. What takes more than a few lines is in the file named after it.

use std::sync::{Arc, OnceLock};

use futures_util::stream::{BoxStream, StreamExt};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Response, Status, Streaming};

use super::bulk::Bulk;
use super::create::{Begun, answered_user};
use super::list::Listing;
use super::pages::Pages;
use super::parse::{self, Create, Delete};
use super::patch::Update;
use super::repeat::Repeat;
use super::session::Session;
use super::status::status;
use crate::auth::PasswordPool;
use crate::directory::Directory;
use crate::domain::{Actor, Error, Outcome, Reason, User, UserId, Violation, Write, WriteOp};
use crate::pb::user::v1 as pb;
use crate::pb::user::v1::user_service_server::UserService;

/// The most ids in a BatchGetUsers request.
const BATCH_MAX: usize = 500;

/// The service of users; clones share all of it, the limits too: a server has one and its clones.
#[derive(Clone, Debug)]
pub struct Users {
    directory: Arc<OnceLock<Directory>>,
    passwords: PasswordPool,
    draining: CancellationToken,
    pages: Pages,
}

impl Users {
    /// The service over a directory that may still be opening: until it is there, every call is
    /// answered UNAVAILABLE. When `draining` is cancelled, sessions end.
    pub fn new(
        directory: Arc<OnceLock<Directory>>,
        passwords: PasswordPool,
        draining: CancellationToken,
    ) -> Self {
        Self { directory, passwords, draining, pages: Pages::new() }
    }

    pub(super) fn directory(&self) -> Result<&Directory, Error> {
        self.directory.get().ok_or(Error::Unavailable("starting"))
    }

    async fn create(&self, actor: Actor, create: Create) -> Result<User, Error> {
        let directory = self.directory()?;
        let mut ready = match Begun::new(create, actor, directory)? {
            Begun::Answered(user) => return Ok(user),
            Begun::Ready(ready) => ready,
        };
        let credential = match ready.password.take() {
            Some(password) => Some(self.passwords.try_hash(password).await?),
            None => None,
        };
        answered_user(directory.write(ready.into_write(credential)).await?)
    }

    pub(super) async fn update(&self, actor: Actor, update: Update) -> Result<User, Error> {
        let Update { id, expected, patch, repeat } = update;
        answered_user(self.write(actor, repeat, WriteOp::Update { id, expected, patch }).await?)
    }

    /// Writes, unless the request was made before.
    async fn write(
        &self,
        actor: Actor,
        repeat: Option<Repeat>,
        op: WriteOp,
    ) -> Result<Outcome, Error> {
        let directory = self.directory()?;
        let request = repeat.map(|repeat| repeat.identify(directory));
        if let Some(request) = &request
            && let Some(first) = directory.first_answer(&actor, request)?
        {
            // Answered here, since a repetition may be answered when there is no room to write.
            return Ok(first);
        }
        directory.write(Write { actor, request, op }).await
    }
}

#[tonic::async_trait]
impl UserService for Users {
    async fn get_user(
        &self,
        request: Request<pb::GetUserRequest>,
    ) -> Result<Response<pb::User>, Status> {
        // First, so that an opening directory never answers that somebody does not exist.
        let directory = self.directory()?;
        let id = parse::user_id(&request.get_ref().user_id)?;
        let user = directory.user(id).ok_or(Error::UserNotFound)?;
        Ok(Response::new(user.into()))
    }

    async fn create_user(
        &self,
        request: Request<pb::CreateUserRequest>,
    ) -> Result<Response<pb::User>, Status> {
        let actor = caller();
        let create = Create::parse(request.into_inner())?;
        let user = self.create(actor, create).await?;
        Ok(Response::new(user.into()))
    }

    type ListUsersStream = BoxStream<'static, Result<pb::User, Status>>;

    async fn list_users(
        &self,
        request: Request<pb::ListUsersRequest>,
    ) -> Result<Response<Self::ListUsersStream>, Status> {
        let listing = Listing::parse(request.get_ref())?;
        let users = listing.stream(self.directory()?.clone(), self.pages.clone())?;
        Ok(Response::new(users.boxed()))
    }

    async fn bulk_create_users(
        &self,
        request: Request<Streaming<pb::CreateUserRequest>>,
    ) -> Result<Response<pb::BulkCreateResponse>, Status> {
        let directory = self.directory()?;
        let bulk = Bulk::new(caller(), directory, &self.passwords, &self.draining);
        Ok(Response::new(bulk.run(request.into_inner()).await?))
    }

    type UserUpdatesStream = BoxStream<'static, Result<pb::User, Status>>;

    async fn user_updates(
        &self,
        request: Request<Streaming<pb::UserUpdateRequest>>,
    ) -> Result<Response<Self::UserUpdatesStream>, Status> {
        self.directory()?;
        let session = Session::new(self.clone(), caller(), self.draining.clone());
        Ok(Response::new(session.run(request.into_inner()).boxed()))
    }

    async fn get_user_by_email(
        &self,
        request: Request<pb::GetUserByEmailRequest>,
    ) -> Result<Response<pb::User>, Status> {
        let email = parse::email(&request.get_ref().email)?;
        let user = self.directory()?.user_by_email(email.canonical());
        Ok(Response::new(user.ok_or(Error::UserNotFound)?.into()))
    }

    async fn batch_get_users(
        &self,
        request: Request<pb::BatchGetUsersRequest>,
    ) -> Result<Response<pb::BatchGetUsersResponse>, Status> {
        let ids = request.into_inner().user_ids;
        if ids.len() > BATCH_MAX {
            let violation = Violation::new("user_ids", Reason::TooMany(BATCH_MAX));
            return Err(Error::Invalid(vec![violation]).into());
        }
        let directory = self.directory()?.clone();
        let answer = self.pages.read(move || batch(&directory, ids)).await?;
        Ok(Response::new(answer))
    }

    async fn update_user(
        &self,
        request: Request<pb::UpdateUserRequest>,
    ) -> Result<Response<pb::User>, Status> {
        self.directory()?;
        let actor = caller();
        let update = Update::parse(request.into_inner())?;
        let user = self.update(actor, update).await?;
        Ok(Response::new(user.into()))
    }

    async fn delete_user(
        &self,
        request: Request<pb::DeleteUserRequest>,
    ) -> Result<Response<()>, Status> {
        self.directory()?;
        let actor = caller();
        let Delete { id, expected, repeat } = Delete::parse(request.into_inner())?;
        self.write(actor, repeat, WriteOp::Delete { id, expected }).await?;
        Ok(Response::new(()))
    }

    type WatchUsersStream = BoxStream<'static, Result<pb::UserChange, Status>>;

    async fn watch_users(
        &self,
        _request: Request<pb::WatchUsersRequest>,
    ) -> Result<Response<Self::WatchUsersStream>, Status> {
        Err(status(Code::Unimplemented, "UNIMPLEMENTED", "this version has no WatchUsers"))
    }
}

/// Who calls. Every method is open, so nobody in particular.
fn caller() -> Actor {
    Actor::anonymous()
}

fn batch(directory: &Directory, ids: Vec<String>) -> Result<pb::BatchGetUsersResponse, Error> {
    let mut answer = pb::BatchGetUsersResponse::default();
    for id in ids {
        let user = match UserId::parse(&id) {
            Some(id) => directory.user(id),
            None => None,
        };
        match user {
            Some(user) => answer.users.push(user.into()),
            None => answer.missing_ids.push(id),
        }
    }
    Ok(answer)
}
