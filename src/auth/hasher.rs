//! argon2id at OWASP's floor, as PHC strings.
//!
//! A hasher keeps its 19 MiB of memory between passwords, since faulting it in anew would cost a
//! tenth of the hash, and gives it back when told that there is nothing to do.

use argon2::password_hash::{Output, ParamsString, PasswordHash, SaltString};
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Block, Params, Version};
use zeroize::Zeroize;

use super::Password;
use crate::domain::{Credential, Error};

const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;

/// Hashes one password at a time.
#[derive(Default)]
pub(super) struct Hasher {
    memory: Vec<Block>,
}

impl Hasher {
    /// Hashes a password with a fresh salt. Takes about 40 ms of a processor.
    ///
    /// # Errors
    ///
    /// [`Error::Fault`] if the system has no randomness.
    pub(super) fn hash(&mut self, password: &Password) -> Result<Credential, Error> {
        let mut salt = [0; SALT_BYTES];
        getrandom::fill(&mut salt).map_err(Error::fault)?;
        self.hash_with_salt(password, &salt)
    }

    /// Gives the memory back, wiped: what the last password left in it could speed up a search for
    /// that password. Between two hashes the next one overwrites it.
    pub(super) fn rest(&mut self) {
        self.memory.zeroize();
        self.memory = Vec::new();
    }

    /// Whether the memory is given back, or was never taken.
    #[cfg(test)]
    pub(super) fn is_resting(&self) -> bool {
        self.memory.is_empty()
    }

    fn hash_with_salt(&mut self, password: &Password, salt: &[u8]) -> Result<Credential, Error> {
        let params =
            Params::new(MEMORY_KIB, PASSES, LANES, Some(HASH_BYTES)).map_err(Error::fault)?;
        let shown = ParamsString::try_from(&params).map_err(Error::fault)?;
        self.memory.resize(params.block_count(), Block::new());
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let mut hash = [0; HASH_BYTES];
        argon2
            .hash_password_into_with_memory(
                password.as_bytes(),
                salt,
                &mut hash,
                self.memory.as_mut_slice(),
            )
            .map_err(Error::fault)?;
        let salt = SaltString::encode_b64(salt).map_err(Error::fault)?;
        let phc = PasswordHash {
            algorithm: ARGON2ID_IDENT,
            version: Some(Version::V0x13.into()),
            params: shown,
            salt: Some(salt.as_salt()),
            hash: Some(Output::new(&hash).map_err(Error::fault)?),
        };
        Ok(Credential::new(phc.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use argon2::PasswordVerifier;

    use super::*;

    fn password(text: &str) -> Password {
        Password::parse(text).unwrap()
    }

    #[test]
    fn a_hash_is_a_phc_string_that_only_its_password_opens() {
        let mut hasher = Hasher::default();
        for text in ["correct horse", "πßå πßå"] {
            let credential = hasher.hash(&password(text)).unwrap();
            assert!(credential.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
            let phc = PasswordHash::new(credential.as_str()).unwrap();
            let verifies = |text: &str| {
                Argon2::default().verify_password(password(text).as_bytes(), &phc).is_ok()
            };
            assert!(verifies(text));
            assert!(!verifies("battery staple"));
        }
    }

    #[test]
    fn reused_memory_and_fresh_memory_give_the_same_hash() {
        let salt = [7; SALT_BYTES];
        let mut hasher = Hasher::default();
        let fresh = hasher.hash_with_salt(&password("correct horse"), &salt).unwrap();
        let reused = hasher.hash_with_salt(&password("correct horse"), &salt).unwrap();
        hasher.rest();
        assert!(hasher.is_resting());
        let after_rest = hasher.hash_with_salt(&password("correct horse"), &salt).unwrap();
        assert!(fresh == reused && fresh == after_rest);
    }

    #[test]
    fn one_password_hashed_twice_has_two_hashes() {
        let mut hasher = Hasher::default();
        let password = password("correct horse");
        assert!(hasher.hash(&password).unwrap() != hasher.hash(&password).unwrap());
    }
}
