//! kill -9 of the real program under load: everything that was acknowledged is there afterwards,
//! and nothing is half there.
//!
//! `ROSTERD_CRASH_CYCLES` sets how often one directory is crashed (10 if not set).

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::collections::HashMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures_util::StreamExt;
use rosterd::pb::user::v1::user_service_client::UserServiceClient;
use rosterd::pb::user::v1::{
    CreateUserRequest, DeleteUserRequest, ListUsersRequest, UpdateUserRequest, User,
};
use tonic::transport::Channel;

const CREATORS: usize = 16;

/// What one creator was told: the last state of each of its users, `None` if deleted, and the one
/// user of whom it does not know whether the last write was made.
#[derive(Default)]
struct Told {
    users: HashMap<String, Option<User>>,
    in_doubt: Option<String>,
}

/// A running daemon; it does not outlive a test that fails.
struct Daemon(Child);

impl Daemon {
    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It is gone already where the test went well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(dir: &Path) -> Daemon {
    // The addresses of an earlier run must not be taken for this one's.
    let _ = std::fs::remove_file(dir.join("LOCK"));
    let child = Command::new(env!("CARGO_BIN_EXE_rosterd"))
        .args(["--data-dir", dir.to_str().unwrap(), "serve", "--listen", "127.0.0.1:0"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    Daemon(child)
}

/// Connects to the daemon on a directory, once it serves.
async fn connect(dir: &Path) -> UserServiceClient<Channel> {
    for _ in 0..600 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let lock = std::fs::read_to_string(dir.join("LOCK")).unwrap_or_default();
        let Some(address) = lock.lines().find_map(|line| line.strip_prefix("listen ")) else {
            continue;
        };
        let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
        let Ok(channel) = endpoint.connect().await else { continue };
        let mut client = UserServiceClient::new(channel);
        if client.get_user(pb_get("")).await.is_err_and(|s| s.code() == tonic::Code::NotFound) {
            return client;
        }
    }
    panic!("the daemon does not serve");
}

fn pb_get(id: &str) -> rosterd::pb::user::v1::GetUserRequest {
    rosterd::pb::user::v1::GetUserRequest { user_id: id.to_owned() }
}

/// Creates, changes and deletes users until the daemon is gone.
async fn write(mut client: UserServiceClient<Channel>, creator: usize, cycle: usize) -> Told {
    let mut told = Told::default();
    for n in 0.. {
        let email = format!("user-{cycle}-{creator}-{n}@example.org");
        told.in_doubt = Some(email.clone());
        let create = CreateUserRequest { email: email.clone(), ..Default::default() };
        let Ok(created) = client.create_user(create).await else { return told };
        let created = created.into_inner();
        told.users.insert(email.clone(), Some(created.clone()));
        if n % 3 == 1 {
            let update = UpdateUserRequest {
                user_id: created.id.clone(),
                name: Some(format!("name {n}")),
                ..Default::default()
            };
            let Ok(updated) = client.update_user(update).await else { return told };
            told.users.insert(email.clone(), Some(updated.into_inner()));
        }
        if n % 7 == 2 {
            let delete = DeleteUserRequest { user_id: created.id, ..Default::default() };
            let Ok(_) = client.delete_user(delete).await else { return told };
            told.users.insert(email, None);
        }
    }
    told
}

async fn everybody(client: &mut UserServiceClient<Channel>) -> HashMap<String, User> {
    let stream = client.list_users(ListUsersRequest::default()).await.unwrap().into_inner();
    stream.map(|user| user.unwrap()).map(|user| (user.email.clone(), user)).collect().await
}

/// Compares what is there with what was told; takes over what turns out about writes in doubt.
fn compare(
    found: &HashMap<String, User>,
    told: &mut HashMap<String, Option<User>>,
    doubts: &[String],
) {
    for email in doubts {
        told.insert(email.clone(), found.get(email).cloned());
    }
    for (email, user) in told.iter() {
        assert_eq!(found.get(email), user.as_ref(), "{email}");
    }
    let expected = told.values().flatten().count();
    assert_eq!(found.len(), expected, "users that nobody asked for");
}

#[test]
fn what_was_acknowledged_survives_kill_9_at_any_moment() {
    let cycles = std::env::var("ROSTERD_CRASH_CYCLES").map_or(10, |n| n.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut told = HashMap::new();
    let mut writes = 0;
    for cycle in 0..cycles {
        let daemon = start(dir.path());
        let (round, found) = runtime.block_on(async {
            let mut client = connect(dir.path()).await;
            let found = everybody(&mut client).await;
            let writers: Vec<_> = (0..CREATORS)
                .map(|creator| tokio::spawn(write(client.clone(), creator, cycle)))
                .collect();
            // Moments from the first write on to well after the first checkpoint.
            tokio::time::sleep(Duration::from_millis(13 * (cycle as u64 * 37 % 50))).await;
            daemon.kill();
            let mut round = Vec::new();
            for writer in writers {
                round.push(writer.await.unwrap());
            }
            (round, found)
        });
        if cycle > 0 {
            compare(&found, &mut told, &[]);
        }
        let mut doubts = Vec::new();
        for creator in round {
            writes += creator.users.len();
            told.extend(creator.users);
            doubts.extend(creator.in_doubt);
        }
        let daemon = start(dir.path());
        runtime.block_on(async {
            let mut client = connect(dir.path()).await;
            compare(&everybody(&mut client).await, &mut told, &doubts);
        });
        // Also without load, and a second time over what recovery wrote.
        daemon.kill();
    }
    assert!(writes > cycles * 10, "there was hardly any load: {writes} users in {cycles} cycles");
    println!("{cycles} cycles, {writes} users acknowledged, none lost");
}
