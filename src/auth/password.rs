//! A password, prepared as RFC 8265 says: what a person types is the same on every keyboard.
//!
//! The text is wiped from memory when the value is dropped, and `Debug` never shows it. That is not
//! all copies: preparing a password makes some of its own, and so do the layers that receive it.

use std::borrow::Cow;
use std::fmt;

use precis_profiles::OpaqueString;
use precis_profiles::precis_core::Error as PrecisError;
use precis_profiles::precis_core::profile::PrecisFastInvocation;
use zeroize::Zeroizing;

use crate::domain::Reason;

const BYTES_MIN: usize = 8;
const BYTES_MAX: usize = 1024;

/// Preparing shrinks no text to less than a quarter: three bytes of a wide space become one, nine
/// of three Hangul letters become three. More than this need not be prepared to be refused.
const BYTES_UNPREPARED_MAX: usize = 4 * BYTES_MAX;

const LENGTH: Reason = Reason::PasswordLength { min: BYTES_MIN, max: BYTES_MAX };

/// A password under RFC 8265's OpaqueString profile, of 8 to 1,024 bytes.
pub struct Password(Zeroizing<String>);

impl Password {
    /// Prepares and checks a password.
    ///
    /// # Errors
    ///
    /// [`Reason::PasswordLength`] or [`Reason::PasswordCharacter`].
    pub fn parse(text: &str) -> Result<Self, Reason> {
        if text.is_empty() || text.len() > BYTES_UNPREPARED_MAX {
            return Err(LENGTH);
        }
        let prepared = OpaqueString::enforce(text).map(Cow::into_owned).map(Zeroizing::new);
        match prepared {
            Ok(prepared) if (BYTES_MIN..=BYTES_MAX).contains(&prepared.len()) => Ok(Self(prepared)),
            Ok(_) => Err(LENGTH),
            Err(
                PrecisError::Invalid | PrecisError::BadCodepoint(_) | PrecisError::Unexpected(_),
            ) => Err(Reason::PasswordCharacter),
        }
    }

    /// What is hashed.
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&str, Reason>) {
        let prepared = Password::parse(text).map(|password| password.0.to_string());
        assert_eq!(prepared, expected.map(str::to_owned), "{text:?}");
    }

    #[test]
    fn spellings_of_one_password_are_one_password() {
        for (text, expected) in [
            ("correct horse", "correct horse"),
            ("correct\u{a0}horse", "correct horse"),
            ("correct\u{3000}horse", "correct horse"),
            ("Zoe\u{308}-Zoe\u{308}", "Zo\u{eb}-Zo\u{eb}"),
            ("πßå πßå", "πßå πßå"),
            ("Case Matters", "Case Matters"),
        ] {
            check(text, Ok(expected));
        }
    }

    #[test]
    fn the_limits_are_inclusive_and_count_prepared_bytes() {
        for length in [8, 1024] {
            check(&"x".repeat(length), Ok(&"x".repeat(length)));
        }
        check(&format!("{}x", "\u{3000}".repeat(1023)), Ok(&format!("{}x", " ".repeat(1023))));
        for text in
            ["", "seven b", &"x".repeat(1025), &"x".repeat(10_000), "\u{3000}\u{3000}\u{3000}"]
        {
            check(text, Err(LENGTH));
        }
    }

    #[test]
    fn control_characters_are_refused() {
        for text in ["tab\tinside", "line\nbreak", "nul\0inside", "zero\u{200b}width space"] {
            check(text, Err(Reason::PasswordCharacter));
        }
    }

    #[test]
    fn debug_hides_the_password() {
        let password = Password::parse("correct horse").unwrap();
        assert_eq!(format!("{password:?}"), "Password");
    }
}
