//! UpdateUser: a mask says what changes, a revision says from what, and nothing else happens.

use std::collections::BTreeMap;

use rosterd::pb::user::v1 as pb;
use tonic::Code;

use crate::support::Daemon;
use crate::wire::{
    Client, NOBODY, create, fields, get, mask, metadata, new_user, refusal, verdict,
};

fn attributes(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// Creates a user with all fields set.
async fn full_user(client: &Client) -> pb::User {
    let request = pb::CreateUserRequest {
        name: "Ada".to_owned(),
        attributes: attributes(&[("team", "blue"), ("desk", "7")]),
        ..new_user("ada@example.org")
    };
    client.clone().create_user(request).await.unwrap().into_inner()
}

/// An update of this user that changes nothing yet.
fn update(user: &pb::User) -> pb::UpdateUserRequest {
    pb::UpdateUserRequest { user_id: user.id.clone(), ..Default::default() }
}

/// Applies an update to a fresh user and compares the fields that a caller can change.
async fn check(
    change: impl FnOnce(&mut pb::UpdateUserRequest),
    expect: impl FnOnce(&mut pb::User),
) {
    let daemon = Daemon::start().await;
    let before = full_user(&daemon.client()).await;
    let mut request = update(&before);
    change(&mut request);
    let after = daemon.client().update_user(request).await.unwrap().into_inner();
    let mut expected = before.clone();
    expect(&mut expected);
    expected.updated_at = after.updated_at;
    expected.revision = after.revision;
    assert_eq!(after, expected);
    assert_eq!(get(&daemon.client(), &before.id).await.unwrap(), after);
    daemon.stop().await;
}

#[tokio::test]
async fn without_a_mask_the_fields_that_are_present_change() {
    check(
        |request| {
            request.name = Some("Countess".to_owned());
            request.status = Some(pb::UserStatus::Inactive.into());
            request.attributes = attributes(&[("ignored", "without a mask")]);
        },
        |user| {
            user.name = "Countess".to_owned();
            user.status = pb::UserStatus::Inactive.into();
        },
    )
    .await;
}

#[tokio::test]
async fn with_a_mask_only_the_fields_in_it_change() {
    check(
        |request| {
            request.email = Some("Countess@example.org".to_owned());
            request.name = Some("Countess".to_owned());
            request.update_mask = mask(&["email"]);
        },
        |user| user.email = "Countess@example.org".to_owned(),
    )
    .await;
}

#[tokio::test]
async fn a_masked_name_that_is_absent_is_cleared() {
    check(|request| request.update_mask = mask(&["name"]), |user| user.name.clear()).await;
}

#[tokio::test]
async fn attributes_are_replaced_as_a_whole() {
    check(
        |request| {
            request.attributes = attributes(&[("team", "red")]);
            request.update_mask = mask(&["attributes"]);
        },
        |user| user.attributes = attributes(&[("team", "red")]),
    )
    .await;
}

#[tokio::test]
async fn attributes_are_set_and_removed_one_by_one() {
    check(
        |request| {
            request.attributes = attributes(&[("team", "red"), ("not", "masked")]);
            request.update_mask =
                mask(&["attributes.team", "attributes.desk", "attributes.nowhere"]);
        },
        |user| user.attributes = attributes(&[("team", "red")]),
    )
    .await;
}

#[tokio::test]
async fn an_email_may_change_its_spelling_and_frees_the_old_address() {
    let daemon = Daemon::start().await;
    let ada = create(&daemon.client(), "ada@example.org").await;
    for email in ["ADA@example.org", "countess@example.org"] {
        let request = pb::UpdateUserRequest { email: Some(email.to_owned()), ..update(&ada) };
        let after = daemon.client().update_user(request).await.unwrap().into_inner();
        assert_eq!(after.email, email);
    }
    create(&daemon.client(), "ada@example.org").await;
    let request =
        pb::UpdateUserRequest { email: Some("Ada@Example.org".to_owned()), ..update(&ada) };
    let answer = daemon.client().update_user(request).await;
    assert_eq!(refusal(answer), (Code::AlreadyExists, "EMAIL_TAKEN".to_owned()));
    daemon.stop().await;
}

#[tokio::test]
async fn an_update_that_changes_nothing_makes_no_revision() {
    let daemon = Daemon::start().await;
    let before = full_user(&daemon.client()).await;
    for request in [
        update(&before),
        pb::UpdateUserRequest { name: Some(before.name.clone()), ..update(&before) },
        pb::UpdateUserRequest { email: Some(before.email.clone()), ..update(&before) },
        pb::UpdateUserRequest {
            attributes: before.attributes.clone(),
            update_mask: mask(&["attributes", "attributes.team"]),
            ..update(&before)
        },
        pb::UpdateUserRequest { update_mask: mask(&["attributes.nowhere"]), ..update(&before) },
    ] {
        let after = daemon.client().update_user(request.clone()).await.unwrap().into_inner();
        assert_eq!(after, before, "{request:?}");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn a_stale_revision_is_refused_with_the_one_that_the_user_has() {
    let daemon = Daemon::start().await;
    let before = full_user(&daemon.client()).await;
    let request = pb::UpdateUserRequest {
        name: Some("Countess".to_owned()),
        expected_revision: before.revision,
        ..update(&before)
    };
    let after = daemon.client().update_user(request.clone()).await.unwrap().into_inner();
    assert!(after.revision > before.revision);
    let status = daemon.client().update_user(request).await.unwrap_err();
    assert_eq!(verdict(&status), (Code::Aborted, "REVISION_MISMATCH".to_owned()));
    assert_eq!(metadata(&status, "current_revision"), Some(after.revision.to_string()));
    daemon.stop().await;
}

#[tokio::test]
async fn a_user_who_is_not_there_cannot_change() {
    let daemon = Daemon::start().await;
    for id in [NOBODY, "", "no id"] {
        let request = pb::UpdateUserRequest {
            user_id: id.to_owned(),
            name: Some("Nobody".to_owned()),
            ..Default::default()
        };
        let answer = daemon.client().update_user(request).await;
        assert_eq!(refusal(answer), (Code::NotFound, "USER_NOT_FOUND".to_owned()), "{id:?}");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn every_field_that_breaks_a_rule_is_named() {
    let daemon = Daemon::start().await;
    let user = full_user(&daemon.client()).await;
    let base = || update(&user);
    let value = "v".repeat(1024);
    let large: Vec<_> = ["a", "b", "c", "d", "e", "f"].map(|key| (key, value.as_str())).into();
    for (request, expected) in [
        (pb::UpdateUserRequest { email: Some(String::new()), ..base() }, vec!["email"]),
        (pb::UpdateUserRequest { update_mask: mask(&["email"]), ..base() }, vec!["email"]),
        (pb::UpdateUserRequest { status: Some(0), ..base() }, vec!["status"]),
        (pb::UpdateUserRequest { update_mask: mask(&["status"]), ..base() }, vec!["status"]),
        (pb::UpdateUserRequest { update_mask: mask(&["id"]), ..base() }, vec!["update_mask"]),
        (pb::UpdateUserRequest { expected_revision: -1, ..base() }, vec!["expected_revision"]),
        (pb::UpdateUserRequest { request_id: "7".to_owned(), ..base() }, vec!["request_id"]),
        (
            pb::UpdateUserRequest {
                attributes: attributes(&large),
                update_mask: mask(&["attributes"]),
                ..base()
            },
            vec!["attributes"],
        ),
        (
            pb::UpdateUserRequest {
                name: Some("a\tb".to_owned()),
                status: Some(7),
                update_mask: mask(&["name", "status", "x", "y"]),
                ..base()
            },
            vec!["update_mask", "update_mask", "name", "status"],
        ),
    ] {
        let status = daemon.client().update_user(request).await.unwrap_err();
        assert_eq!(fields(&status), expected, "{}", status.message());
    }
    assert_eq!(get(&daemon.client(), &user.id).await.unwrap(), user);
    daemon.stop().await;
}
