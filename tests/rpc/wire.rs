//! How these tests write requests and read answers.

use std::fmt::Debug;

use rosterd::pb::user::v1 as pb;
use rosterd::pb::user::v1::user_service_client::UserServiceClient;
use tonic::transport::Channel;
use tonic::{Code, Response, Status};
use tonic_types::StatusExt;

/// A client as [`crate::support::Daemon`] gives it.
pub(crate) type Client = UserServiceClient<Channel>;

/// An id that no user has.
pub(crate) const NOBODY: &str = "01900000-0000-7000-8000-000000000000";

/// A request for a user with this email and nothing else.
pub(crate) fn new_user(email: &str) -> pb::CreateUserRequest {
    pb::CreateUserRequest { email: email.to_owned(), ..Default::default() }
}

/// Creates a user with this email.
pub(crate) async fn create(client: &Client, email: &str) -> pb::User {
    client.clone().create_user(new_user(email)).await.unwrap().into_inner()
}

/// Reads a user by id.
pub(crate) async fn get(client: &Client, id: &str) -> Result<pb::User, Status> {
    let request = pb::GetUserRequest { user_id: id.to_owned() };
    Ok(client.clone().get_user(request).await?.into_inner())
}

/// Creates users in one stream; all of them must be good.
pub(crate) async fn create_all(client: &Client, users: Vec<pb::CreateUserRequest>) -> Vec<String> {
    let count = users.len();
    let answer = client.clone().bulk_create_users(tokio_stream::iter(users)).await.unwrap();
    let answer = answer.into_inner();
    assert_eq!(answer.failures, []);
    assert_eq!(answer.user_ids.len(), count);
    answer.user_ids
}

/// A mask of these paths.
pub(crate) fn mask(paths: &[&str]) -> Option<prost_types::FieldMask> {
    let paths = paths.iter().map(|path| (*path).to_owned()).collect();
    Some(prost_types::FieldMask { paths })
}

/// The code and the reason of a refusal.
pub(crate) fn refusal<T: Debug>(answer: Result<Response<T>, Status>) -> (Code, String) {
    verdict(&answer.unwrap_err())
}

/// The code and the reason of a status. Every status must have a reason of ours.
pub(crate) fn verdict(status: &Status) -> (Code, String) {
    let info = status.get_details_error_info().unwrap_or_else(|| panic!("no reason: {status:?}"));
    assert_eq!(info.domain, "rosterd");
    (status.code(), info.reason)
}

/// An entry of the metadata of a status's reason.
pub(crate) fn metadata(status: &Status, key: &str) -> Option<String> {
    status.get_details_error_info().and_then(|info| info.metadata.get(key).cloned())
}

/// The fields that an INVALID_ARGUMENT names.
pub(crate) fn fields(status: &Status) -> Vec<String> {
    assert_eq!(verdict(status), (Code::InvalidArgument, "FIELD_INVALID".to_owned()));
    let bad = status.get_details_bad_request().unwrap();
    bad.field_violations.into_iter().map(|violation| violation.field).collect()
}
