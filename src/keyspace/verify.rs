//! Reads everything and proves the invariants of the keyspace.

use std::fmt;

use super::{Keyspace, decode_id, decode_user, entry_hash, guard};
use crate::domain::{Tally, Totals, Tree, UserId};

/// What [`Keyspace::verify`] tells at the most; more of the same helps nobody.
const FINDINGS_MAX: usize = 100;

/// One broken invariant. It names no email: findings are printed and logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding(String);

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Keyspace {
    /// Compares everything in here with itself and with what the journal says it adds up to.
    /// Takes one to two seconds per million users. Nothing may be applied meanwhile.
    pub fn verify(&self, totals: &Totals) -> Vec<Finding> {
        let mut findings = Vec::new();
        self.verify_users(&mut findings);
        self.verify_emails(&mut findings);
        let mut expected = *totals;
        for tree in Tree::ALL {
            let Some(expected) = expected.tally_mut(tree) else { continue };
            let found = self.tally(tree);
            if found != *expected {
                findings.push(Finding(format!(
                    "tree {tree:?} has {} entries with set-hash {:032x}; the journal says {} with \
                     {:032x}",
                    found.count, found.hash, expected.count, expected.hash
                )));
            }
        }
        findings.truncate(FINDINGS_MAX);
        findings
    }

    fn tally(&self, tree: Tree) -> Tally {
        let mut tally = Tally::default();
        let mut entries = self.tree(tree).iter();
        while let Some((key, value)) = guard(|| entries.next().transpose()) {
            tally.add(entry_hash(tree, &key, &value));
        }
        tally
    }

    fn verify_users(&self, findings: &mut Vec<Finding>) {
        let mut entries = self.users.iter();
        while let Some((key, value)) = guard(|| entries.next().transpose()) {
            if findings.len() >= FINDINGS_MAX {
                return;
            }
            let Some(id) = UserId::from_bytes(&key) else {
                findings.push(Finding("a user's key is no id".to_owned()));
                continue;
            };
            match decode_user(id, &value) {
                Err(error) => findings.push(Finding(format!("user {id}: {error}"))),
                Ok(user) => {
                    let email = user.email.canonical().as_str().as_bytes();
                    let indexed = self.get(Tree::Emails, email);
                    let indexed = indexed.and_then(|bytes| decode_id(email, &bytes).ok());
                    if indexed != Some(id) {
                        let what = "its email does not lead to it in the index";
                        findings.push(Finding(format!("user {id}: {what}")));
                    }
                }
            }
        }
    }

    fn verify_emails(&self, findings: &mut Vec<Finding>) {
        let mut entries = self.emails.iter();
        while let Some((email, value)) = guard(|| entries.next().transpose()) {
            if findings.len() >= FINDINGS_MAX {
                return;
            }
            let id = match decode_id(&email, &value) {
                Ok(id) => id,
                Err(error) => {
                    findings.push(Finding(format!("an entry of the email index: {error}")));
                    continue;
                }
            };
            let user = self.get(Tree::Users, id.as_bytes());
            let user = user.and_then(|bytes| decode_user(id, &bytes).ok());
            let canonical = user.as_ref().map(|user| user.email.canonical().as_str().as_bytes());
            if canonical != Some(&email) {
                let what = "the index leads to it from an email that is not its own";
                findings.push(Finding(format!("user {id}: {what}")));
            }
        }
    }
}
