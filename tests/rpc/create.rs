//! CreateUser: what is answered is what was asked for, an email is taken once, limits are kept.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use rosterd::pb::user::v1 as pb;
use tonic::Code;

use crate::support::Daemon;
use crate::wire::{create, fields, get, new_user, verdict};

/// Creates users in order and compares the code of each answer.
async fn check(steps: &[(pb::CreateUserRequest, Code)]) {
    let daemon = Daemon::start().await;
    let mut client = daemon.client();
    for (step, (request, expected)) in steps.iter().enumerate() {
        let answer = client.create_user(request.clone()).await;
        let code = answer.map_or_else(|status| verdict(&status).0, |_| Code::Ok);
        assert_eq!(code, *expected, "step {step}: {:?}", request.email);
    }
    daemon.stop().await;
}

fn entries(count: usize, value_bytes: usize) -> BTreeMap<String, String> {
    (0..count).map(|i| (format!("key-{i}"), "v".repeat(value_bytes))).collect()
}

#[tokio::test]
async fn a_created_user_is_what_was_asked_for() {
    let daemon = Daemon::start().await;
    let request = pb::CreateUserRequest {
        email: "  Ada@Example.org ".to_owned(),
        name: "Ada Lovelace".to_owned(),
        password: "correct horse".to_owned(),
        attributes: BTreeMap::from([("team".to_owned(), "blue".to_owned())]),
        status: pb::UserStatus::Inactive.into(),
        request_id: String::new(),
    };
    let user = daemon.client().create_user(request).await.unwrap().into_inner();
    assert_eq!(user.email, "Ada@Example.org");
    assert_eq!(user.name, "Ada Lovelace");
    assert_eq!(user.status(), pb::UserStatus::Inactive);
    assert_eq!(user.attributes["team"], "blue");
    assert_eq!(user.created_at, user.updated_at);
    assert!(user.created_at.is_some() && user.deleted_at.is_none());
    assert_eq!(user.revision, 1);
    assert_eq!(get(&daemon.client(), &user.id).await.unwrap(), user);
    daemon.stop().await;
}

#[tokio::test]
async fn a_user_is_active_and_nameless_unless_told_otherwise() {
    let daemon = Daemon::start().await;
    let user = create(&daemon.client(), "ada@example.org").await;
    assert_eq!((user.status(), user.name.as_str()), (pb::UserStatus::Active, ""));
    daemon.stop().await;
}

#[tokio::test]
async fn an_email_is_taken_once_in_any_spelling() {
    check(&[
        (new_user("ada@example.org"), Code::Ok),
        (new_user(" Ada@Example.ORG"), Code::AlreadyExists),
        (new_user("\"ada\"@example.org"), Code::AlreadyExists),
        (new_user("a.da@example.org"), Code::Ok),
        (new_user("ada+tag@example.org"), Code::Ok),
        (new_user("zoe\u{308}@bücher.example"), Code::Ok),
        (new_user("ZOË@xn--bcher-kva.example"), Code::AlreadyExists),
    ])
    .await;
}

#[tokio::test]
async fn a_taken_email_is_refused_with_a_password_too() {
    let with_password =
        |email| pb::CreateUserRequest { password: "correct horse".to_owned(), ..new_user(email) };
    check(&[
        (with_password("ada@example.org"), Code::Ok),
        (with_password("ADA@example.org"), Code::AlreadyExists),
    ])
    .await;
}

#[tokio::test]
async fn of_many_creators_of_one_email_one_wins() {
    let daemon = Daemon::start().await;
    let spellings =
        ["ada@example.org", "ADA@example.org", " ada@EXAMPLE.org", "\"ada\"@example.org"];
    let creators = (0..64).map(|i| {
        let mut client = daemon.client();
        async move { client.create_user(new_user(spellings[i % spellings.len()])).await }
    });
    let answers = join_all(creators).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    for status in answers.into_iter().filter_map(Result::err) {
        assert_eq!(verdict(&status), (Code::AlreadyExists, "EMAIL_TAKEN".to_owned()));
    }
    daemon.stop().await;
}

#[tokio::test]
async fn every_field_that_breaks_a_rule_is_named() {
    let daemon = Daemon::start().await;
    let good = || new_user("ada@example.org");
    for (request, expected) in [
        (new_user(""), vec!["email"]),
        (new_user("ada"), vec!["email"]),
        (new_user("a\u{202e}da@example.org"), vec!["email"]),
        (pb::CreateUserRequest { name: "n".repeat(257), ..good() }, vec!["name"]),
        (pb::CreateUserRequest { password: "short".to_owned(), ..good() }, vec!["password"]),
        (pb::CreateUserRequest { password: "tab\tinside".to_owned(), ..good() }, vec!["password"]),
        (pb::CreateUserRequest { request_id: "7".to_owned(), ..good() }, vec!["request_id"]),
        (pb::CreateUserRequest { status: 3, ..good() }, vec!["status"]),
        (pb::CreateUserRequest { attributes: entries(33, 1), ..good() }, vec!["attributes"]),
        (pb::CreateUserRequest { attributes: entries(6, 1024), ..good() }, vec!["attributes"]),
        (
            pb::CreateUserRequest { name: "a\nb".to_owned(), status: -1, ..new_user("@") },
            vec!["email", "name", "status"],
        ),
    ] {
        let status = daemon.client().create_user(request).await.unwrap_err();
        assert_eq!(fields(&status), expected, "{}", status.message());
    }
    daemon.stop().await;
}

#[tokio::test]
async fn the_limits_themselves_are_within_them() {
    check(&[
        (pb::CreateUserRequest { name: "é".repeat(256), ..new_user("a@x") }, Code::Ok),
        (pb::CreateUserRequest { attributes: entries(32, 100), ..new_user("b@x") }, Code::Ok),
        (pb::CreateUserRequest { attributes: entries(5, 1024), ..new_user("c@x") }, Code::Ok),
        (pb::CreateUserRequest { password: "8 bytes!".to_owned(), ..new_user("d@x") }, Code::Ok),
        (pb::CreateUserRequest { password: "p".repeat(1024), ..new_user("e@x") }, Code::Ok),
        (new_user(&format!("{}@x", "l".repeat(64))), Code::Ok),
    ])
    .await;
}
