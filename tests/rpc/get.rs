//! GetUser, GetUserByEmail, BatchGetUsers: who is there is found, who is not is said to be missing.

use rosterd::pb::user::v1 as pb;
use tonic::Code;

use crate::support::Daemon;
use crate::wire::{NOBODY, create, create_all, fields, get, new_user, refusal, verdict};

fn by_email(email: &str) -> pb::GetUserByEmailRequest {
    pb::GetUserByEmailRequest { email: email.to_owned() }
}

#[tokio::test]
async fn an_id_that_names_nobody_is_not_found_whatever_it_looks_like() {
    let daemon = Daemon::start().await;
    create(&daemon.client(), "ada@example.org").await;
    for id in [NOBODY, "", "7", "no such user", "../../etc/passwd", "01900000"] {
        let status = get(&daemon.client(), id).await.unwrap_err();
        assert_eq!(verdict(&status), (Code::NotFound, "USER_NOT_FOUND".to_owned()), "{id:?}");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn a_user_is_found_by_any_spelling_of_the_email() {
    let daemon = Daemon::start().await;
    let user = create(&daemon.client(), "Zoë@Bücher.example").await;
    for email in ["Zoë@Bücher.example", " zoe\u{308}@BÜCHER.example ", "zoë@xn--bcher-kva.example"]
    {
        let found = daemon.client().get_user_by_email(by_email(email)).await.unwrap();
        assert_eq!(found.into_inner(), user, "{email:?}");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn an_email_of_nobody_is_not_found_and_what_is_no_email_is_invalid() {
    let daemon = Daemon::start().await;
    let answer = daemon.client().get_user_by_email(by_email("ada@example.org")).await;
    assert_eq!(refusal(answer), (Code::NotFound, "USER_NOT_FOUND".to_owned()));
    for email in ["", "ada", "ada@", "a b@example.org"] {
        let status = daemon.client().get_user_by_email(by_email(email)).await.unwrap_err();
        assert_eq!(fields(&status), ["email"], "{email:?}");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn a_batch_answers_in_the_order_of_the_request_and_lists_who_is_missing() {
    let daemon = Daemon::start().await;
    let ada = create(&daemon.client(), "ada@example.org").await;
    let bob = create(&daemon.client(), "bob@example.org").await;
    let ids = [&bob.id, NOBODY, &ada.id, "no id", &bob.id].map(str::to_owned).to_vec();
    let request = pb::BatchGetUsersRequest { user_ids: ids };
    let answer = daemon.client().batch_get_users(request).await.unwrap().into_inner();
    assert_eq!(answer.users, [bob.clone(), ada, bob]);
    assert_eq!(answer.missing_ids, [NOBODY, "no id"]);
    daemon.stop().await;
}

#[tokio::test]
async fn a_batch_has_five_hundred_ids_at_most() {
    let daemon = Daemon::start().await;
    let users = (0..500).map(|i| new_user(&format!("{i}@example.org"))).collect();
    let mut ids = create_all(&daemon.client(), users).await;
    let request = pb::BatchGetUsersRequest { user_ids: ids.clone() };
    let answer = daemon.client().batch_get_users(request).await.unwrap().into_inner();
    assert!(answer.users.iter().map(|user| &user.id).eq(&ids));
    ids.push(NOBODY.to_owned());
    let request = pb::BatchGetUsersRequest { user_ids: ids };
    let status = daemon.client().batch_get_users(request).await.unwrap_err();
    assert_eq!(fields(&status), ["user_ids"]);
    daemon.stop().await;
}
