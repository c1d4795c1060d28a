//! The keys of the trees.
//!
//! | tree | key | sorts by |
//! |---|---|---|
//! | users, credentials | the 16 bytes of the id | creation, since ids are UUIDv7 |
//! | emails | the canonical email | email |
//! | requests | `r`, 16 bytes of BLAKE3 of the actor, 16 bytes of the request id | nothing useful |
//! | requests | `t`, the revision as 8 bytes, big-endian | age |
//!
//! The two kinds of keys of the requests tree point at each other: the first answers "was this
//! asked before?", the second "which is the oldest?".

use uuid::Uuid;

use crate::domain::{Actor, Revision};

/// Where the ages of the requests tree begin, and end.
pub(super) const AGES: std::ops::Range<&[u8]> = b"t".as_slice()..b"u".as_slice();

/// The key of a request.
pub fn request_key(actor: &Actor, id: Uuid) -> Vec<u8> {
    let actor = blake3::hash(actor.as_str().as_bytes());
    [b"r", &actor.as_bytes()[..16], id.as_bytes()].concat()
}

/// The key under which a request that was first answered at this revision has its age.
pub fn age_key(revision: Revision) -> Vec<u8> {
    [b"t".as_slice(), &revision.get().to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_sort_by_revision_and_apart_from_requests() {
        let ages = [1, 255, 256, u64::MAX].map(|n| age_key(Revision::new(n)));
        assert!(ages.is_sorted());
        assert!(ages.iter().all(|age| AGES.contains(&age.as_slice())));
        assert!(!AGES.contains(&request_key(&Actor::anonymous(), Uuid::max()).as_slice()));
    }

    #[test]
    fn one_id_of_two_actors_is_two_requests() {
        let other = Actor::new("ada".to_owned());
        let id = Uuid::nil();
        assert_ne!(request_key(&Actor::anonymous(), id), request_key(&other, id));
    }
}
