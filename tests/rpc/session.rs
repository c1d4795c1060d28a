//! UserUpdates: updates are applied in order, the first refused one ends the session, and so do a
//! half-close and a stop.

use rosterd::pb::user::v1 as pb;
use rosterd::pb::user::v1::user_update_request::Action;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use crate::support::Daemon;
use crate::wire::{Client, NOBODY, create, get, metadata, verdict};

fn rename(id: &str, name: &str) -> pb::UserUpdateRequest {
    let update = pb::UpdateUserRequest {
        user_id: id.to_owned(),
        name: Some(name.to_owned()),
        ..Default::default()
    };
    pb::UserUpdateRequest { action: Some(Action::Update(update)) }
}

/// Opens a session; requests go in at one end, users come out at the other.
async fn open(client: &Client) -> (mpsc::Sender<pb::UserUpdateRequest>, Streaming<pb::User>) {
    let (requests, stream) = mpsc::channel(16);
    let users = client.clone().user_updates(ReceiverStream::new(stream)).await.unwrap();
    (requests, users.into_inner())
}

/// Sends all requests at once and reads the names that come back, up to the end.
async fn run(
    client: &Client,
    requests: Vec<pb::UserUpdateRequest>,
) -> (Vec<String>, Result<(), Status>) {
    let users = client.clone().user_updates(tokio_stream::iter(requests)).await.unwrap();
    let mut users = users.into_inner();
    let mut names = Vec::new();
    loop {
        match users.message().await {
            Ok(Some(user)) => names.push(user.name),
            Ok(None) => return (names, Ok(())),
            Err(status) => return (names, Err(status)),
        }
    }
}

#[tokio::test]
async fn each_update_is_answered_with_the_new_state_before_the_next_is_sent() {
    let daemon = Daemon::start().await;
    let user = create(&daemon.client(), "ada@example.org").await;
    let (requests, mut users) = open(&daemon.client()).await;
    let mut revision = user.revision;
    for name in ["one", "two", "three"] {
        requests.send(rename(&user.id, name)).await.unwrap();
        let after = users.message().await.unwrap().unwrap();
        assert_eq!(after.name, name);
        assert!(after.revision > revision);
        revision = after.revision;
    }
    drop(requests);
    assert_eq!(users.message().await.unwrap(), None);
    daemon.stop().await;
}

#[tokio::test]
async fn updates_sent_ahead_are_applied_in_order() {
    let daemon = Daemon::start().await;
    let user = create(&daemon.client(), "ada@example.org").await;
    let names: Vec<_> = (0..200).map(|i| i.to_string()).collect();
    let requests = names.iter().map(|name| rename(&user.id, name)).collect();
    let (answered, end) = run(&daemon.client(), requests).await;
    assert_eq!(answered, names);
    assert!(end.is_ok());
    daemon.stop().await;
}

#[tokio::test]
async fn the_first_refused_request_ends_the_session_and_what_was_before_it_stands() {
    let daemon = Daemon::start().await;
    let user = create(&daemon.client(), "ada@example.org").await;
    let watch = Some(Action::Watch(pb::WatchUsersRequest::default()));
    for (refused, code, reason) in [
        (rename(NOBODY, "x"), Code::NotFound, "USER_NOT_FOUND"),
        (rename(&user.id, "a\tb"), Code::InvalidArgument, "FIELD_INVALID"),
        (pb::UserUpdateRequest::default(), Code::InvalidArgument, "FIELD_INVALID"),
        (pb::UserUpdateRequest { action: watch }, Code::Unimplemented, "UNIMPLEMENTED"),
    ] {
        let requests =
            vec![rename(&user.id, "one"), rename(&user.id, reason), refused, rename(&user.id, "3")];
        let (answered, end) = run(&daemon.client(), requests).await;
        assert_eq!(answered, ["one", reason]);
        let status = end.unwrap_err();
        assert_eq!(verdict(&status), (code, reason.to_owned()));
        assert_eq!(metadata(&status, "ordinal").as_deref(), Some("2"));
        assert_eq!(get(&daemon.client(), &user.id).await.unwrap().name, reason);
    }
    daemon.stop().await;
}

#[tokio::test]
async fn a_session_that_is_idle_when_the_daemon_stops_is_told_so() {
    let daemon = Daemon::start().await;
    let user = create(&daemon.client(), "ada@example.org").await;
    let (requests, mut users) = open(&daemon.client()).await;
    requests.send(rename(&user.id, "one")).await.unwrap();
    assert_eq!(users.message().await.unwrap().unwrap().name, "one");
    let (end, ()) = tokio::join!(users.message(), daemon.stop());
    assert_eq!(verdict(&end.unwrap_err()), (Code::Unavailable, "UNAVAILABLE".to_owned()));
}

#[tokio::test]
async fn watching_is_not_in_this_version() {
    let daemon = Daemon::start().await;
    let answer = daemon.client().watch_users(pb::WatchUsersRequest::default()).await;
    assert_eq!(verdict(&answer.unwrap_err()), (Code::Unimplemented, "UNIMPLEMENTED".to_owned()));
    daemon.stop().await;
}
