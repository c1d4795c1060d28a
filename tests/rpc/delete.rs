//! DeleteUser: for good, at once, and only from the revision that is expected.

use rosterd::pb::user::v1 as pb;
use tonic::Code;

use crate::support::Daemon;
use crate::wire::{NOBODY, create, fields, get, metadata, refusal, verdict};

fn delete(id: &str, expected_revision: i64) -> pb::DeleteUserRequest {
    pb::DeleteUserRequest { user_id: id.to_owned(), expected_revision, ..Default::default() }
}

#[tokio::test]
async fn a_deleted_user_is_gone_and_the_email_is_free_again() {
    let daemon = Daemon::start().await;
    let before = create(&daemon.client(), "ada@example.org").await;
    daemon.client().delete_user(delete(&before.id, before.revision)).await.unwrap();
    let status = get(&daemon.client(), &before.id).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    let by_email = pb::GetUserByEmailRequest { email: before.email.clone() };
    let answer = daemon.client().get_user_by_email(by_email).await;
    assert_eq!(refusal(answer).0, Code::NotFound);
    let again = create(&daemon.client(), "ada@example.org").await;
    assert_ne!(again.id, before.id);
    daemon.stop().await;
}

#[tokio::test]
async fn who_is_not_there_cannot_be_deleted() {
    let daemon = Daemon::start().await;
    let gone = create(&daemon.client(), "ada@example.org").await;
    daemon.client().delete_user(delete(&gone.id, 0)).await.unwrap();
    for id in [gone.id.as_str(), NOBODY, "", "no id"] {
        let answer = daemon.client().delete_user(delete(id, 0)).await;
        assert_eq!(refusal(answer), (Code::NotFound, "USER_NOT_FOUND".to_owned()), "{id:?}");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn a_stale_revision_is_refused_and_a_negative_one_is_invalid() {
    let daemon = Daemon::start().await;
    let user = create(&daemon.client(), "ada@example.org").await;
    let status =
        daemon.client().delete_user(delete(&user.id, user.revision + 1)).await.unwrap_err();
    assert_eq!(verdict(&status), (Code::Aborted, "REVISION_MISMATCH".to_owned()));
    assert_eq!(metadata(&status, "current_revision"), Some(user.revision.to_string()));
    let status = daemon.client().delete_user(delete(&user.id, -1)).await.unwrap_err();
    assert_eq!(fields(&status), ["expected_revision"]);
    assert_eq!(get(&daemon.client(), &user.id).await.unwrap(), user);
    daemon.stop().await;
}
