//! Opens directories, writes to them, and makes the copies that stand for a crash.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rosterd::directory::{CheckError, Directory, LockedDir, OpenError, Options, check};
use rosterd::domain::{
    Actor, Attributes, CanonicalEmail, Email, Error, Name, NewUser, Patch, RequestId, Revision,
    User, UserId, UserStatus, Write, WriteOp,
};

/// Small enough that every test of some length meets a change of segments.
pub(crate) const SEGMENT_BYTES: u64 = 64 << 10;

pub(crate) fn try_open(path: &Path) -> Result<Directory, OpenError> {
    let recoverer = PathBuf::from(env!("CARGO_BIN_EXE_rosterd"));
    let options = Options { segment_bytes: SEGMENT_BYTES, ..Options::new(recoverer, 8 << 20) };
    LockedDir::lock(path)?.open(&options)
}

pub(crate) fn open(path: &Path) -> Directory {
    patiently(|| try_open(path), |error| matches!(error, OpenError::Locked { .. }))
}

/// Tries again for a while. A child that another test is just starting has its copies of our locks
/// until it runs its program.
fn patiently<T, E: std::fmt::Display>(
    attempt: impl Fn() -> Result<T, E>,
    is_locked: impl Fn(&E) -> bool,
) -> T {
    for _ in 0..200 {
        match attempt() {
            Ok(value) => return value,
            Err(error) if is_locked(&error) => std::thread::sleep(Duration::from_millis(10)),
            Err(error) => panic!("{error}"),
        }
    }
    panic!("locked for two seconds");
}

/// Closes a directory and proves every invariant of it.
pub(crate) fn close(directory: Directory, path: &Path) -> Revision {
    directory.close().unwrap();
    let is_locked = |e: &CheckError| matches!(e, CheckError::Open(OpenError::Locked { .. }));
    patiently(|| check(path), is_locked).0
}

/// What a crash of the process would leave: the files as they are, while the directory is open.
pub(crate) fn crash_copy(path: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_folder(path, copy.path());
    copy
}

pub(crate) fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

pub(crate) fn new_user(email: &str) -> NewUser {
    NewUser {
        email: Email::parse(email).unwrap(),
        name: Name::parse("Ada").unwrap(),
        status: UserStatus::Active,
        attributes: Attributes::default(),
        credential: None,
    }
}

pub(crate) fn request(id: u128, mac: u8) -> Option<RequestId> {
    Some(RequestId { id: uuid::Uuid::from_u128(id), mac: [mac; 32] })
}

pub(crate) fn write(request: Option<RequestId>, op: WriteOp) -> Write {
    Write { actor: Actor::anonymous(), request, op }
}

/// Makes one write, from a thread without a runtime of its own.
pub(crate) fn make(directory: &Directory, write: Write) -> Result<Option<User>, Error> {
    runtime().block_on(directory.write(write))
}

pub(crate) fn create(directory: &Directory, email: &str) -> Result<User, Error> {
    make(directory, write(None, WriteOp::Create(new_user(email)))).map(Option::unwrap)
}

pub(crate) fn update(directory: &Directory, id: UserId, patch: Patch) -> Result<User, Error> {
    make(directory, write(None, WriteOp::Update { id, expected: None, patch })).map(Option::unwrap)
}

pub(crate) fn delete(directory: &Directory, id: UserId) -> Result<(), Error> {
    make(directory, write(None, WriteOp::Delete { id, expected: None })).map(|_| ())
}

pub(crate) fn canonical(email: &str) -> CanonicalEmail {
    Email::parse(email).unwrap().canonical().clone()
}

/// Everybody, read in small pages.
pub(crate) fn everybody(directory: &Directory) -> Vec<User> {
    let mut users = Vec::new();
    let mut after = None;
    loop {
        let page = directory.users(after, 7);
        users.extend(page.users);
        after = page.next;
        if after.is_none() {
            return users;
        }
    }
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}
