//! BulkCreateUsers: good items are kept, bad ones are told apart, and the bounds hold.

use std::time::Duration;

use rosterd::pb::user::v1 as pb;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

use crate::support::Daemon;
use crate::wire::{Client, create, create_all, get, metadata, new_user, refusal, verdict};

async fn bulk(
    client: &Client,
    items: Vec<pb::CreateUserRequest>,
) -> Result<pb::BulkCreateResponse, Status> {
    Ok(client.clone().bulk_create_users(tokio_stream::iter(items)).await?.into_inner())
}

/// The index and the reason of each refused item.
fn refused(answer: &pb::BulkCreateResponse) -> Vec<(i64, &str)> {
    answer.failures.iter().map(|failure| (failure.index, failure.reason.as_str())).collect()
}

#[tokio::test]
async fn good_items_are_created_in_order_and_bad_ones_are_reported() {
    let daemon = Daemon::start().await;
    create(&daemon.client(), "taken@example.org").await;
    let items = vec![
        new_user("a@example.org"),
        new_user("nobody"),
        new_user("b@example.org"),
        new_user("TAKEN@example.org"),
        new_user("A@example.org"),
        pb::CreateUserRequest { password: "short".to_owned(), ..new_user("c@example.org") },
        pb::CreateUserRequest { password: "correct horse".to_owned(), ..new_user("d@example.org") },
        new_user(""),
    ];
    let answer = bulk(&daemon.client(), items).await.unwrap();
    assert_eq!((answer.created_count, answer.failed_count), (3, 5));
    let (invalid, taken) = ("FIELD_INVALID", "EMAIL_TAKEN");
    let expected = [(1, invalid), (3, taken), (4, taken), (5, invalid), (7, invalid)];
    assert_eq!(refused(&answer), expected);
    assert_eq!(answer.failures[1].email, "TAKEN@example.org");
    assert_eq!(answer.failures[1].code, i32::from(Code::AlreadyExists));
    assert!(answer.failures[3].message.contains("password"));
    let mut emails = Vec::new();
    for id in &answer.user_ids {
        emails.push(get(&daemon.client(), id).await.unwrap().email);
    }
    assert_eq!(emails, ["a@example.org", "b@example.org", "d@example.org"]);
    daemon.stop().await;
}

#[tokio::test]
async fn an_empty_stream_creates_nobody() {
    let daemon = Daemon::start().await;
    let answer = bulk(&daemon.client(), Vec::new()).await.unwrap();
    assert_eq!(answer, pb::BulkCreateResponse::default());
    daemon.stop().await;
}

#[tokio::test]
async fn many_items_keep_their_order_across_commits() {
    let daemon = Daemon::start().await;
    let users = (0..2000).map(|i| new_user(&format!("{i}@example.org"))).collect();
    let ids = create_all(&daemon.client(), users).await;
    assert!(ids.is_sorted());
    for i in [0, 255, 256, 1999] {
        let user = get(&daemon.client(), &ids[i]).await.unwrap();
        assert_eq!(user.email, format!("{i}@example.org"));
    }
    daemon.stop().await;
}

#[tokio::test]
async fn a_hundred_refused_items_are_listed_and_all_are_counted() {
    let daemon = Daemon::start().await;
    let items = (0..150).map(|_| new_user("nobody")).collect();
    let answer = bulk(&daemon.client(), items).await.unwrap();
    assert_eq!((answer.created_count, answer.failed_count), (0, 150));
    assert!(answer.failures.iter().map(|failure| failure.index).eq(0..100));
    daemon.stop().await;
}

#[tokio::test]
async fn what_was_sent_is_created_while_the_client_pauses() {
    let daemon = Daemon::start().await;
    let (items, stream) = mpsc::channel(1);
    let mut client = daemon.client();
    let answer =
        tokio::spawn(async move { client.bulk_create_users(ReceiverStream::new(stream)).await });
    items.send(new_user("ada@example.org")).await.unwrap();
    let by_email = pb::GetUserByEmailRequest { email: "ada@example.org".to_owned() };
    let created = async {
        while daemon.client().get_user_by_email(by_email.clone()).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), created).await.unwrap();
    drop(items);
    assert_eq!(answer.await.unwrap().unwrap().into_inner().created_count, 1);
    daemon.stop().await;
}

#[tokio::test]
async fn one_item_too_many_ends_the_stream_and_the_status_says_what_was_kept() {
    let daemon = Daemon::start().await;
    // Items that are refused count too, and are quicker to be so.
    let items = (0..100_001).map(|i| new_user(if i == 7 { "ada@example.org" } else { "nobody" }));
    let status = bulk(&daemon.client(), items.collect()).await.unwrap_err();
    assert_eq!(verdict(&status), (Code::ResourceExhausted, "BULK_LIMIT_EXCEEDED".to_owned()));
    assert_eq!(metadata(&status, "created_count").as_deref(), Some("1"));
    assert!(status.message().contains("1 users were created"), "{}", status.message());
    create(&daemon.client(), "bob@example.org").await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_message_above_the_limit_ends_the_stream_like_a_call_of_its_own() {
    let daemon = Daemon::start().await;
    let large = pb::CreateUserRequest { name: "n".repeat(65_536), ..new_user("b@example.org") };
    let alone = daemon.client().create_user(large.clone()).await;
    let verdict_alone = refusal(alone);
    assert_eq!(verdict_alone, (Code::ResourceExhausted, "MESSAGE_TOO_LARGE".to_owned()));
    let items = vec![new_user("a@example.org"), large, new_user("c@example.org")];
    let status = bulk(&daemon.client(), items).await.unwrap_err();
    assert_eq!(verdict(&status), verdict_alone);
    assert_eq!(metadata(&status, "created_count").as_deref(), Some("1"));
    daemon.stop().await;
}
