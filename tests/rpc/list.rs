//! ListUsers: all users once, in order, from any position, whatever the page size.

use rosterd::pb::user::v1 as pb;
use tonic::Status;

use crate::support::Daemon;
use crate::wire::{Client, NOBODY, create_all, fields, new_user};

/// A daemon with this many users, `0000@even.example`, `0001@odd.example` and so on; every third
/// is inactive. With their ids in order.
async fn daemon_with(count: usize) -> (Daemon, Vec<String>) {
    let daemon = Daemon::start().await;
    let users = (0..count).map(|i| {
        let domain = if i % 2 == 0 { "even" } else { "odd" };
        let status = if i % 3 == 0 { pb::UserStatus::Inactive } else { pb::UserStatus::Active };
        let user = new_user(&format!("{i:04}@{domain}.example"));
        pb::CreateUserRequest { status: status.into(), ..user }
    });
    let ids = create_all(&daemon.client(), users.collect()).await;
    (daemon, ids)
}

async fn list(client: &Client, request: pb::ListUsersRequest) -> Result<Vec<pb::User>, Status> {
    let mut stream = client.clone().list_users(request).await?.into_inner();
    let mut users = Vec::new();
    while let Some(user) = stream.message().await? {
        users.push(user);
    }
    Ok(users)
}

async fn list_ids(client: &Client, request: pb::ListUsersRequest) -> Vec<String> {
    list(client, request).await.unwrap().into_iter().map(|user| user.id).collect()
}

#[tokio::test]
async fn every_page_size_yields_every_user_once_in_the_order_of_ids() {
    let (daemon, ids) = daemon_with(1000).await;
    assert!(ids.is_sorted());
    for page_size in [0, 1, 7, 100, 999, 1000, 1001, i32::MAX] {
        let request = pb::ListUsersRequest { page_size, ..Default::default() };
        assert_eq!(list_ids(&daemon.client(), request).await, ids, "page_size {page_size}");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn an_empty_directory_lists_nobody() {
    let daemon = Daemon::start().await;
    for email_prefix in ["", "a"] {
        let request =
            pb::ListUsersRequest { email_prefix: email_prefix.to_owned(), ..Default::default() };
        assert_eq!(list_ids(&daemon.client(), request).await, [""; 0]);
    }
    daemon.stop().await;
}

#[tokio::test]
async fn a_listing_goes_on_after_any_id_of_a_deleted_user_too() {
    let (daemon, ids) = daemon_with(30).await;
    let client = daemon.client();
    let gone = pb::DeleteUserRequest { user_id: ids[10].clone(), ..Default::default() };
    client.clone().delete_user(gone).await.unwrap();
    for (token, expected) in [
        (ids[0].as_str(), [&ids[1..10], &ids[11..]].concat()),
        (&ids[9], ids[11..].to_vec()),
        (&ids[10], ids[11..].to_vec()),
        (&ids[29], Vec::new()),
        (NOBODY, [&ids[..10], &ids[11..]].concat()),
    ] {
        let page_token = token.to_owned();
        let request = pb::ListUsersRequest { page_size: 4, page_token, ..Default::default() };
        assert_eq!(list_ids(&client, request).await, expected, "after {token}");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn a_limit_bounds_the_answer_and_a_filter_is_applied_before_it() {
    let (daemon, ids) = daemon_with(100).await;
    let inactive: Vec<_> = ids.iter().step_by(3).cloned().collect();
    for (status, page_size, limit, expected) in [
        (pb::UserStatus::Unspecified, 10, 0, &ids[..]),
        (pb::UserStatus::Unspecified, 10, 1, &ids[..1]),
        (pb::UserStatus::Unspecified, 10, 25, &ids[..25]),
        (pb::UserStatus::Unspecified, 10, 30, &ids[..30]),
        (pb::UserStatus::Unspecified, 10, 1000, &ids[..]),
        (pb::UserStatus::Inactive, 1, 0, &inactive[..]),
        (pb::UserStatus::Inactive, 10, 5, &inactive[..5]),
    ] {
        let status_filter = status.into();
        let request =
            pb::ListUsersRequest { page_size, limit, status_filter, ..Default::default() };
        assert_eq!(list_ids(&daemon.client(), request.clone()).await, expected, "{request:?}");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn a_prefix_lists_by_email_and_goes_on_after_the_last_email() {
    let (daemon, ids) = daemon_with(120).await;
    for (prefix, token, expected) in [
        ("00", "", &ids[..100]),
        ("010", "", &ids[100..110]),
        ("0007@ODD.ex", "", &ids[7..8]),
        ("00", "0041@ODD.example", &ids[42..100]),
        ("00", "0041@nobody.example", &ids[41..100]),
        ("9", "", &ids[..0]),
    ] {
        let request = pb::ListUsersRequest {
            page_size: 7,
            email_prefix: prefix.to_owned(),
            page_token: token.to_owned(),
            ..Default::default()
        };
        assert_eq!(list_ids(&daemon.client(), request).await, expected, "{prefix} {token}");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn every_field_that_breaks_a_rule_is_named() {
    let daemon = Daemon::start().await;
    let base = pb::ListUsersRequest::default;
    for (request, expected) in [
        (pb::ListUsersRequest { page_size: -1, ..base() }, vec!["page_size"]),
        (pb::ListUsersRequest { limit: -1, ..base() }, vec!["limit"]),
        (pb::ListUsersRequest { status_filter: 9, ..base() }, vec!["status_filter"]),
        (pb::ListUsersRequest { page_token: "7".to_owned(), ..base() }, vec!["page_token"]),
        (
            pb::ListUsersRequest {
                page_token: "bob@example.org".to_owned(),
                email_prefix: "ada".to_owned(),
                page_size: -1,
                ..base()
            },
            vec!["page_size", "page_token"],
        ),
    ] {
        let status = list(&daemon.client(), request).await.unwrap_err();
        assert_eq!(fields(&status), expected);
    }
    daemon.stop().await;
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_nothing_behind_that_holds_up_a_stop() {
    let (daemon, ids) = daemon_with(500).await;
    let request = pb::ListUsersRequest { page_size: 1, ..Default::default() };
    let mut stream = daemon.client().list_users(request).await.unwrap().into_inner();
    assert_eq!(stream.message().await.unwrap().unwrap().id, ids[0]);
    drop(stream);
    daemon.stop().await;
}
