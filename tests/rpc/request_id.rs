//! `request_id`: a request that is made again is answered as it was, and done once.

use futures_util::future::join_all;
use rosterd::pb::user::v1 as pb;
use tonic::Code;

use crate::support::Daemon;
use crate::wire::{create, create_all, get, new_user, refusal, verdict};

const ID: &str = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
const OTHER_ID: &str = "00000000-0000-0000-0000-000000000000";

/// A repeatable request for Ada, with a password.
fn ada() -> pb::CreateUserRequest {
    pb::CreateUserRequest {
        request_id: ID.to_owned(),
        password: "correct horse".to_owned(),
        attributes: (0..20).map(|i| (i.to_string(), "v".to_owned())).collect(),
        ..new_user("ada@example.org")
    }
}

fn reused() -> (Code, String) {
    (Code::AlreadyExists, "REQUEST_ID_REUSED".to_owned())
}

#[tokio::test]
async fn a_create_that_is_repeated_answers_the_user_it_made_first() {
    let daemon = Daemon::start().await;
    let first = daemon.client().create_user(ada()).await.unwrap().into_inner();
    let again = daemon.client().create_user(ada()).await.unwrap().into_inner();
    assert_eq!(again, first);
    let rename = pb::UpdateUserRequest {
        user_id: first.id.clone(),
        name: Some("Countess".to_owned()),
        ..Default::default()
    };
    daemon.client().update_user(rename).await.unwrap();
    let later = daemon.client().create_user(ada()).await.unwrap().into_inner();
    assert_eq!(later.id, first.id);
    daemon.stop().await;
}

#[tokio::test]
async fn a_request_id_with_other_content_is_refused() {
    let daemon = Daemon::start().await;
    let user = daemon.client().create_user(ada()).await.unwrap().into_inner();
    for request in [
        pb::CreateUserRequest { email: "Ada@example.org".to_owned(), ..ada() },
        pb::CreateUserRequest { name: "Ada".to_owned(), ..ada() },
        pb::CreateUserRequest { password: "battery staple".to_owned(), ..ada() },
        pb::CreateUserRequest { password: String::new(), ..ada() },
        pb::CreateUserRequest { status: 1, ..ada() },
        pb::CreateUserRequest { attributes: Default::default(), ..ada() },
    ] {
        let answer = daemon.client().create_user(request).await;
        assert_eq!(refusal(answer), reused());
    }
    let delete = pb::DeleteUserRequest {
        user_id: user.id.clone(),
        request_id: ID.to_owned(),
        ..Default::default()
    };
    assert_eq!(refusal(daemon.client().delete_user(delete).await), reused());
    assert_eq!(get(&daemon.client(), &user.id).await.unwrap(), user);
    daemon.stop().await;
}

#[tokio::test]
async fn repetitions_that_race_all_get_the_one_answer() {
    let daemon = Daemon::start().await;
    // Hashing makes those with a password slow, so that repetitions overtake the first writes.
    let without_password = pb::CreateUserRequest {
        request_id: OTHER_ID.to_owned(),
        password: String::new(),
        ..new_user("bob@example.org")
    };
    for request in [ada(), without_password] {
        let answers = join_all((0..8).map(|_| {
            let (mut client, request) = (daemon.client(), request.clone());
            async move { client.create_user(request).await.unwrap().into_inner() }
        }))
        .await;
        assert!(answers.iter().all(|user| *user == answers[0]), "{answers:?}");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn a_repeated_update_is_applied_once() {
    let daemon = Daemon::start().await;
    let user = create(&daemon.client(), "ada@example.org").await;
    let rename = |name: &str, request_id: &str| pb::UpdateUserRequest {
        user_id: user.id.clone(),
        name: Some(name.to_owned()),
        request_id: request_id.to_owned(),
        expected_revision: 0,
        ..Default::default()
    };
    let first = daemon.client().update_user(rename("one", ID)).await.unwrap().into_inner();
    assert_eq!(first.name, "one");
    daemon.client().update_user(rename("two", "")).await.unwrap();
    daemon.client().update_user(rename("one", ID)).await.unwrap();
    assert_eq!(get(&daemon.client(), &user.id).await.unwrap().name, "two");
    assert_eq!(refusal(daemon.client().update_user(rename("three", ID)).await), reused());
    daemon.stop().await;
}

#[tokio::test]
async fn a_repeated_delete_succeeds_again() {
    let daemon = Daemon::start().await;
    let user = create(&daemon.client(), "ada@example.org").await;
    let delete = pb::DeleteUserRequest {
        user_id: user.id.clone(),
        expected_revision: user.revision,
        request_id: ID.to_owned(),
    };
    daemon.client().delete_user(delete.clone()).await.unwrap();
    daemon.client().delete_user(delete).await.unwrap();
    let status = get(&daemon.client(), &user.id).await.unwrap_err();
    assert_eq!(verdict(&status).0, Code::NotFound);
    daemon.stop().await;
}

#[tokio::test]
async fn an_item_of_a_bulk_that_is_repeated_counts_as_created() {
    let daemon = Daemon::start().await;
    let item = |i: u128| pb::CreateUserRequest {
        request_id: uuid::Uuid::from_u128(i + 1).to_string(),
        ..new_user(&format!("{i}@example.org"))
    };
    let first = create_all(&daemon.client(), (0..300).map(item).collect()).await;
    let again = create_all(&daemon.client(), (0..300).map(item).collect()).await;
    assert_eq!(again, first);
    let alone = daemon.client().create_user(item(7)).await.unwrap().into_inner();
    assert_eq!(alone.id, first[7]);
    daemon.stop().await;
}
