//! A change: what one revision did, in a form that can be applied again without thinking.

use super::{Actor, Revision, Timestamp, UserId};

/// The trees that changes edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tree {
    /// Id → user. Authoritative.
    Users,
    /// Canonical email → id. Derived from the users.
    Emails,
    /// Id → password hash. Authoritative.
    Credentials,
    /// Caller and request id → first answer, and their order of age. Authoritative.
    Requests,
}

impl Tree {
    /// All trees.
    pub const ALL: [Self; 4] = [Self::Users, Self::Emails, Self::Credentials, Self::Requests];
}

/// One put (`Some`) or removal (`None`) in one tree. It says what the entry is afterwards, never
/// how it differs from before, so that applying it twice is applying it once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The tree.
    pub tree: Tree,
    /// The key of the entry.
    pub key: Vec<u8>,
    /// The whole new value, checksum included.
    pub value: Option<Vec<u8>>,
}

/// What a change means to those who follow the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// A user was created.
    Created(UserId),
    /// Fields of a user were changed.
    Updated {
        /// The user.
        id: UserId,
        /// The names of the fields, as in an update mask.
        fields: Vec<String>,
    },
    /// A user was deleted.
    Deleted {
        /// The user.
        id: UserId,
        /// The user's last record.
        last: Vec<u8>,
    },
    /// No user was touched: an expiry, or a repeatable request that changed nothing.
    Upkeep,
}

/// What one revision did. Decisions only: times, ids and values stand in it, and applying it needs
/// no clock, no randomness and no validation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The number of the change.
    pub revision: Revision,
    /// When it was made, by directory time.
    pub at: Timestamp,
    /// Who asked for it.
    pub actor: Actor,
    /// What it means.
    pub kind: ChangeKind,
    /// What it does to the trees, in an order in which no reader sees half a change.
    pub edits: Vec<Edit>,
}

/// Count and set-hash of one tree: equal trees have equal tallies, whatever their history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many entries the tree has.
    pub count: u64,
    /// The sum, modulo 2^128, of the hashes of its entries.
    pub hash: u128,
}

impl Tally {
    /// Counts an entry with this hash.
    pub fn add(&mut self, hash: u128) {
        self.count += 1;
        self.hash = self.hash.wrapping_add(hash);
    }

    /// Uncounts an entry with this hash.
    pub fn remove(&mut self, hash: u128) {
        self.count -= 1;
        self.hash = self.hash.wrapping_sub(hash);
    }
}

/// The tallies of the authoritative trees after a group. They travel in its frame: replay takes
/// them as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Of the users.
    pub users: Tally,
    /// Of the credentials.
    pub credentials: Tally,
    /// Of the requests.
    pub requests: Tally,
}

impl Totals {
    /// The tally of a tree, if the tree is authoritative.
    pub fn tally_mut(&mut self, tree: Tree) -> Option<&mut Tally> {
        match tree {
            Tree::Users => Some(&mut self.users),
            Tree::Credentials => Some(&mut self.credentials),
            Tree::Requests => Some(&mut self.requests),
            Tree::Emails => None,
        }
    }
}
