//! Random writes against a map, with reopenings and crashes in between: the directory always is
//! what the map says, in both directions of its index.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rosterd::domain::{Error, Name, Patch, User, UserId, UserStatus};

use super::support::*;

#[derive(Clone, Debug)]
enum Step {
    Create { email: usize, spelling: usize },
    Rename { user: usize, name: usize },
    Move { user: usize, email: usize, spelling: usize },
    Deactivate { user: usize },
    Delete { user: usize },
    Reopen,
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let (email, spelling, user) = (0..12usize, 0..4usize, 0..100usize);
    prop_oneof![
        8 => (email.clone(), spelling.clone())
            .prop_map(|(email, spelling)| Step::Create { email, spelling }),
        4 => (user.clone(), 0..3usize).prop_map(|(user, name)| Step::Rename { user, name }),
        4 => (user.clone(), email, spelling)
            .prop_map(|(user, email, spelling)| Step::Move { user, email, spelling }),
        2 => user.clone().prop_map(|user| Step::Deactivate { user }),
        4 => user.prop_map(|user| Step::Delete { user }),
        1 => Just(Step::Reopen),
        1 => Just(Step::Crash),
    ]
}

/// One of a dozen addresses, in one of four spellings.
fn address(email: usize, spelling: usize) -> String {
    match spelling {
        0 => format!("user{email}@example.org"),
        1 => format!(" USER{email}@Example.ORG "),
        2 => format!("\"user{email}\"@example.org"),
        _ => format!("User{email}@EXAMPLE.org"),
    }
}

#[derive(Default)]
struct Model {
    users: BTreeMap<UserId, User>,
    revision: u64,
}

impl Model {
    fn pick(&self, user: usize) -> Option<UserId> {
        (!self.users.is_empty()).then(|| *self.users.keys().nth(user % self.users.len()).unwrap())
    }

    fn holder(&self, email: &str) -> Option<UserId> {
        let email = canonical(email);
        self.users.values().find(|user| *user.email.canonical() == email).map(|user| user.id)
    }

    /// Takes over what a write answered, which must carry the next revision.
    fn accept(&mut self, user: User) {
        self.revision += 1;
        assert_eq!(user.revision.get(), self.revision);
        self.users.insert(user.id, user);
    }

    fn expect_update(&mut self, before: &User, patch: Patch, answer: Result<User, Error>) {
        let mut expected = before.clone();
        if let Some(email) = patch.email {
            if self.holder(email.address()).is_some_and(|holder| holder != before.id) {
                assert!(matches!(answer, Err(Error::EmailTaken)), "{answer:?}");
                return;
            }
            expected.email = email;
        }
        expected.name = patch.name.unwrap_or(expected.name);
        expected.status = patch.status.unwrap_or(expected.status);
        let after = answer.unwrap();
        if expected == *before {
            assert_eq!(after, expected);
            return;
        }
        assert!(after.updated_at >= before.updated_at);
        expected.updated_at = after.updated_at;
        expected.revision = after.revision;
        assert_eq!(after, expected);
        self.accept(after);
    }
}

fn run(steps: &[Step]) {
    let mut dir = tempfile::tempdir().unwrap();
    let mut directory = open(dir.path());
    let mut model = Model::default();
    for step in steps {
        match *step {
            Step::Create { email, spelling } => {
                let email = address(email, spelling);
                match create(&directory, &email) {
                    Ok(user) => {
                        assert_eq!(model.holder(&email), None);
                        assert!(model.users.keys().all(|id| *id < user.id), "ids rise");
                        model.accept(user);
                    }
                    Err(Error::EmailTaken) => assert!(model.holder(&email).is_some()),
                    Err(error) => panic!("{error}"),
                }
            }
            Step::Reopen => {
                close(directory, dir.path());
                directory = open(dir.path());
            }
            Step::Crash => {
                let copy = crash_copy(dir.path());
                directory.close().unwrap();
                dir = copy;
                directory = open(dir.path());
            }
            Step::Delete { user } => {
                let Some(id) = model.pick(user) else { continue };
                delete(&directory, id).unwrap();
                model.users.remove(&id);
                model.revision += 1;
                assert!(matches!(delete(&directory, id), Err(Error::UserNotFound)));
            }
            Step::Rename { user, .. } | Step::Move { user, .. } | Step::Deactivate { user } => {
                let Some(id) = model.pick(user) else { continue };
                let before = model.users[&id].clone();
                let patch = patch(step);
                let answer = update(&directory, id, patch.clone());
                model.expect_update(&before, patch, answer);
            }
        }
    }
    compare(&directory, &model);
    assert_eq!(close(directory, dir.path()).get(), model.revision);
}

fn patch(step: &Step) -> Patch {
    match *step {
        Step::Rename { name, .. } => {
            Patch { name: Some(Name::parse(&format!("name {name}")).unwrap()), ..Patch::default() }
        }
        Step::Move { email, spelling, .. } => {
            Patch { email: Some(new_user(&address(email, spelling)).email), ..Patch::default() }
        }
        Step::Deactivate { .. }
        | Step::Create { .. }
        | Step::Delete { .. }
        | Step::Reopen
        | Step::Crash => Patch { status: Some(UserStatus::Inactive), ..Patch::default() },
    }
}

fn compare(directory: &rosterd::directory::Directory, model: &Model) {
    assert_eq!(everybody(directory), model.users.values().cloned().collect::<Vec<_>>());
    for (id, user) in &model.users {
        assert_eq!(directory.user(*id).unwrap(), *user);
        assert_eq!(directory.user_by_email(user.email.canonical()).unwrap(), *user);
    }
    for email in 0..12 {
        let email = address(email, 0);
        let found = directory.user_by_email(&canonical(&email)).map(|user| user.id);
        assert_eq!(found, model.holder(&email));
    }
    let by_email = directory.users_by_email("user1", None, 100).users;
    let mut expected: Vec<_> = model
        .users
        .values()
        .filter(|u| u.email.canonical().as_str().starts_with("user1"))
        .collect();
    expected.sort_by_key(|user| user.email.canonical().clone());
    assert_eq!(by_email.iter().collect::<Vec<_>>(), expected);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_directory_is_what_a_map_says(steps in prop::collection::vec(step(), 1..80)) {
        run(&steps);
    }
}
