//! Many writers at once: one winner for each email, and no revision twice or missing.

use std::collections::BTreeSet;
use std::sync::Barrier;

use rosterd::domain::{Attributes, Error, NewUser, Write, WriteOp};

use super::support::*;

#[test]
fn of_64_creators_of_one_email_in_many_spellings_one_wins() {
    let dir = tempfile::tempdir().unwrap();
    let directory = open(dir.path());
    let spellings =
        ["ada@example.org", "ADA@example.org", " Ada@EXAMPLE.org", "\"ada\"@example.org"];
    let barrier = Barrier::new(64);
    let answers: Vec<_> = std::thread::scope(|scope| {
        let creators: Vec<_> = (0..64)
            .map(|creator| {
                let (directory, barrier) = (&directory, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    create(directory, spellings[creator % spellings.len()])
                })
            })
            .collect();
        creators.into_iter().map(|creator| creator.join().unwrap()).collect()
    });
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    let refused = answers.iter().filter(|answer| matches!(answer, Err(Error::EmailTaken)));
    assert_eq!(refused.count(), 63);
    assert_eq!(everybody(&directory).len(), 1);
    assert_eq!(close(directory, dir.path()).get(), 1);
}

#[test]
fn of_many_updates_that_expect_one_revision_one_wins() {
    let dir = tempfile::tempdir().unwrap();
    let directory = open(dir.path());
    let user = create(&directory, "ada@example.org").unwrap();
    let answers: Vec<_> = std::thread::scope(|scope| {
        let updaters: Vec<_> = (0..16)
            .map(|updater| {
                let directory = &directory;
                let patch = rosterd::domain::Patch {
                    name: Some(rosterd::domain::Name::parse(&format!("name {updater}")).unwrap()),
                    ..Default::default()
                };
                let op = WriteOp::Update { id: user.id, expected: Some(user.revision), patch };
                scope.spawn(move || make(directory, write(None, op)))
            })
            .collect();
        updaters.into_iter().map(|updater| updater.join().unwrap()).collect()
    });
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    let stale = answers.iter().filter(|a| matches!(a, Err(Error::RevisionMismatch { .. })));
    assert_eq!(stale.count(), 15);
    close(directory, dir.path());
}

#[test]
fn revisions_of_concurrent_writers_have_no_gap_and_no_repeat() {
    let dir = tempfile::tempdir().unwrap();
    let directory = open(dir.path());
    let revisions: BTreeSet<u64> = std::thread::scope(|scope| {
        let creators: Vec<_> = (0..8)
            .map(|creator| {
                let directory = &directory;
                scope.spawn(move || -> Vec<u64> {
                    let emails = (0..50).map(|n| format!("user-{creator}-{n}@example.org"));
                    emails.map(|email| create(directory, &email).unwrap().revision.get()).collect()
                })
            })
            .collect();
        creators.into_iter().flat_map(|creator| creator.join().unwrap()).collect()
    });
    assert_eq!(revisions, (1..=400).collect());
    assert_eq!(close(directory, dir.path()).get(), 400);
}

#[test]
fn many_writes_at_once_are_answered_in_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let directory = open(dir.path());
    // Every fourth email is that of the one before.
    let writes = (0..1000).map(|n| {
        let n = if n % 4 == 3 { n - 1 } else { n };
        write(None, WriteOp::Create(new_user(&format!("user{n}@example.org"))))
    });
    let answers = runtime().block_on(directory.write_all(writes.collect()));
    assert_eq!(answers.len(), 1000);
    for (n, answer) in answers.into_iter().enumerate() {
        match answer {
            Ok(user) => {
                let email = user.unwrap().email.into_address();
                assert_eq!(email, format!("user{n}@example.org"));
            }
            Err(Error::EmailTaken) => assert_eq!(n % 4, 3),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(close(directory, dir.path()).get(), 750);
}

#[test]
fn many_callers_with_many_writes_each_do_not_wait_for_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let directory = open(dir.path());
    std::thread::scope(|scope| {
        for caller in 0..24 {
            let directory = &directory;
            let writes = (0..256).map(move |n| {
                write(None, WriteOp::Create(new_user(&format!("user{caller}-{n}@example.org"))))
            });
            scope.spawn(move || runtime().block_on(directory.write_all(writes.collect())));
        }
    });
    let many = (0..2_000).map(|n| write(None, WriteOp::Create(new_user(&format!("u{n}@x")))));
    assert_eq!(runtime().block_on(directory.write_all(many.collect())).len(), 2_000);
    assert_eq!(close(directory, dir.path()).get(), 24 * 256 + 2_000);
}

/// A deletion carries the user's last record for those who follow the directory; groups of many
/// once grew beyond what a start would read.
#[test]
fn large_users_can_be_deleted_all_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let directory = open(dir.path());
    let attributes = (0..5).map(|n| (format!("key{n}"), "v".repeat(1024)));
    let attributes = Attributes::parse(attributes).unwrap();
    let creates = (0..1_500).map(|n| {
        let user = NewUser { attributes: attributes.clone(), ..new_user(&format!("u{n}@x")) };
        write(None, WriteOp::Create(user))
    });
    let created = runtime().block_on(directory.write_all(creates.collect()));
    let deletes: Vec<Write> = created
        .into_iter()
        .map(|user| write(None, WriteOp::Delete { id: user.unwrap().unwrap().id, expected: None }))
        .collect();
    std::thread::scope(|scope| {
        for part in deletes.chunks(250) {
            let directory = &directory;
            scope.spawn(move || {
                let answers = runtime().block_on(directory.write_all(part.to_vec()));
                assert!(answers.iter().all(Result::is_ok));
            });
        }
    });
    let crashed = crash_copy(dir.path());
    assert_eq!(close(directory, dir.path()).get(), 3_000);
    std::fs::remove_dir_all(crashed.path().join("keyspace")).unwrap();
    let directory = open(crashed.path());
    assert_eq!(everybody(&directory), []);
    assert_eq!(close(directory, crashed.path()).get(), 3_000);
}
