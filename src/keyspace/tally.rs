//! The hash of one entry, from which the set-hash of a tree is summed.

use crate::domain::Tree;

/// The hash of an entry: BLAKE3 over tree, length of the key, key and value, cut to 128 bits.
///
/// It is there to notice damage. Adding hashes up would not withstand somebody who forges entries.
pub fn entry_hash(tree: Tree, key: &[u8], value: &[u8]) -> u128 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(match tree {
        Tree::Users => b"users",
        Tree::Emails => b"emails",
        Tree::Credentials => b"credentials",
        Tree::Requests => b"requests",
    });
    hasher.update(&(key.len() as u64).to_le_bytes());
    hasher.update(key);
    hasher.update(value);
    let hash = hasher.finalize();
    let mut half = [0; 16];
    half.copy_from_slice(&hash.as_bytes()[..16]);
    u128::from_le_bytes(half)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tree_key_and_value_all_count() {
        let hashes = [
            entry_hash(Tree::Users, b"a", b"bc"),
            entry_hash(Tree::Users, b"ab", b"c"),
            entry_hash(Tree::Credentials, b"a", b"bc"),
            entry_hash(Tree::Users, b"a", b"bd"),
        ];
        for (i, a) in hashes.iter().enumerate() {
            assert!(!hashes[..i].contains(a));
        }
    }
}
