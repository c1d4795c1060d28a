//! Requests that carry an id may be repeated, also after a restart or a crash.

use rosterd::domain::{Error, Patch, UserStatus, WriteOp};

use super::support::*;

#[test]
fn a_repeated_request_gets_the_first_answer() {
    let dir = tempfile::tempdir().unwrap();
    let directory = open(dir.path());
    let op = || WriteOp::Create(new_user("ada@example.org"));
    let first = make(&directory, write(request(1, 1), op())).unwrap();
    let patch = Patch { status: Some(UserStatus::Inactive), ..Patch::default() };
    let id = first.as_ref().unwrap().id;
    update(&directory, id, patch).unwrap();

    let copy = crash_copy(dir.path());
    close(directory, dir.path());
    for path in [dir.path(), copy.path()] {
        let directory = open(path);
        assert_eq!(make(&directory, write(request(1, 1), op())).unwrap(), first);
        let other = make(&directory, write(request(1, 2), op()));
        assert!(matches!(other, Err(Error::RequestIdReused)), "{other:?}");
        let another = make(&directory, write(request(2, 1), op()));
        assert!(matches!(another, Err(Error::EmailTaken)), "{another:?}");
        assert_eq!(close(directory, path).get(), 2);
    }
}

#[test]
fn a_repeated_deletion_is_no_error_and_a_refused_request_leaves_its_id_free() {
    let dir = tempfile::tempdir().unwrap();
    let directory = open(dir.path());
    let user = create(&directory, "ada@example.org").unwrap();
    let deletion = || WriteOp::Delete { id: user.id, expected: None };
    assert_eq!(make(&directory, write(request(1, 1), deletion())).unwrap(), None);
    assert_eq!(make(&directory, write(request(1, 1), deletion())).unwrap(), None);
    let refused = make(&directory, write(request(2, 1), deletion()));
    assert!(matches!(refused, Err(Error::UserNotFound)), "{refused:?}");
    let op = WriteOp::Create(new_user("ada@example.org"));
    assert!(make(&directory, write(request(2, 2), op)).is_ok());
    close(directory, dir.path());
}

#[test]
fn a_repeatable_update_that_changes_nothing_is_remembered_too() {
    let dir = tempfile::tempdir().unwrap();
    let directory = open(dir.path());
    let user = create(&directory, "ada@example.org").unwrap();
    let op = |status| WriteOp::Update {
        id: user.id,
        expected: None,
        patch: Patch { status: Some(status), ..Patch::default() },
    };
    let first = make(&directory, write(request(1, 1), op(UserStatus::Active))).unwrap();
    assert_eq!(first.as_ref(), Some(&user), "nothing changed, so it is the same user");
    make(&directory, write(None, op(UserStatus::Inactive))).unwrap();
    let again = make(&directory, write(request(1, 1), op(UserStatus::Active))).unwrap();
    assert_eq!(again, first);
    assert_eq!(directory.user(user.id).unwrap().status, UserStatus::Inactive);
    close(directory, dir.path());
}
