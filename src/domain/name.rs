//! A display name.

use icu_normalizer::ComposingNormalizerBorrowed;

/// The most characters (Unicode scalar values) in a name.
const CHARS_MAX: usize = 256;

/// A display name in Unicode normalization form C, up to 256 characters, without controls. It may
/// be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Name(String);

/// Why a text is no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// More than 256 characters.
    #[error("is longer than 256 characters")]
    TooLong,
    /// A control character.
    #[error("has a control character")]
    Control,
}

impl Name {
    /// Checks and normalizes a name.
    ///
    /// # Errors
    ///
    /// [`NameError`] says which limit it breaks.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        // Bounds the work of normalizing before it is done: composing never more than triples.
        if text.len() > CHARS_MAX * 16 {
            return Err(NameError::TooLong);
        }
        let name = ComposingNormalizerBorrowed::new_nfc().normalize(text).into_owned();
        if name.chars().count() > CHARS_MAX {
            return Err(NameError::TooLong);
        }
        if name.chars().any(char::is_control) {
            return Err(NameError::Control);
        }
        Ok(Self(name))
    }

    /// Takes a name that an earlier [`Name::parse`] made.
    pub fn from_record(name: String) -> Self {
        Self(name)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, owned.
    pub fn into_string(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_composed_and_bounded() {
        assert_eq!(Name::parse("Zoe\u{308}").unwrap().as_str(), "Zo\u{eb}");
        assert_eq!(Name::parse("").unwrap().as_str(), "");
        assert!(Name::parse(&"é".repeat(256)).is_ok());
        assert_eq!(Name::parse(&"é".repeat(257)), Err(NameError::TooLong));
        assert_eq!(Name::parse("a\tb"), Err(NameError::Control));
    }
}
