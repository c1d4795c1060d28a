//! Free attributes of a user: a small bounded map.

use std::collections::BTreeMap;

const ENTRIES_MAX: usize = 32;
const KEY_BYTES_MAX: usize = 64;
const VALUE_BYTES_MAX: usize = 1024;

/// Up to 32 entries; keys of 1 to 64 bytes without controls, values up to 1,024 bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes(BTreeMap<String, String>);

/// Why entries are no attributes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttributesError {
    /// More than 32 entries.
    #[error("has more than 32 entries")]
    TooMany,
    /// An empty key.
    #[error("has an empty key")]
    KeyEmpty,
    /// A key of more than 64 bytes.
    #[error("has a key longer than 64 bytes")]
    KeyTooLong,
    /// A control character in a key.
    #[error("has a key with a control character")]
    KeyControl,
    /// A value of more than 1,024 bytes.
    #[error("has a value longer than 1,024 bytes")]
    ValueTooLong,
}

/// What an update does to attributes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AttributesPatch {
    /// Leaves them alone.
    #[default]
    Keep,
    /// Puts these in the place of all.
    Replace(Attributes),
    /// Sets or removes single entries. The map is not an [`Attributes`] since removals may name
    /// any key.
    Each(BTreeMap<String, Option<String>>),
}

impl Attributes {
    /// Checks entries from outside.
    ///
    /// # Errors
    ///
    /// [`AttributesError`] says which limit they break.
    pub fn parse(
        entries: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, AttributesError> {
        let entries: BTreeMap<String, String> = entries.into_iter().collect();
        if entries.len() > ENTRIES_MAX {
            return Err(AttributesError::TooMany);
        }
        for (key, value) in &entries {
            check_key(key)?;
            if value.len() > VALUE_BYTES_MAX {
                return Err(AttributesError::ValueTooLong);
            }
        }
        Ok(Self(entries))
    }

    /// Takes entries that an earlier [`Attributes::parse`] let through.
    pub fn from_record(entries: BTreeMap<String, String>) -> Self {
        Self(entries)
    }

    /// These attributes after a patch.
    ///
    /// # Errors
    ///
    /// [`AttributesError`] says which limit the result breaks.
    pub fn patched(&self, patch: AttributesPatch) -> Result<Self, AttributesError> {
        match patch {
            AttributesPatch::Keep => Ok(self.clone()),
            AttributesPatch::Replace(attributes) => Ok(attributes),
            AttributesPatch::Each(entries) => {
                let mut next = self.0.clone();
                for (key, value) in entries {
                    match value {
                        Some(value) => next.insert(key, value),
                        None => next.remove(&key),
                    };
                }
                Self::parse(next)
            }
        }
    }

    /// The entries in the order of their keys.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The value of one key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// The entries, owned, in the order of their keys.
    pub fn into_entries(self) -> impl Iterator<Item = (String, String)> {
        self.0.into_iter()
    }

    /// How many bytes keys and values take together.
    pub fn bytes(&self) -> usize {
        self.0.iter().map(|(key, value)| key.len() + value.len()).sum()
    }
}

fn check_key(key: &str) -> Result<(), AttributesError> {
    if key.is_empty() {
        Err(AttributesError::KeyEmpty)
    } else if key.len() > KEY_BYTES_MAX {
        Err(AttributesError::KeyTooLong)
    } else if key.chars().any(char::is_control) {
        Err(AttributesError::KeyControl)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(entries: &[(&str, &str)]) -> Result<Attributes, AttributesError> {
        Attributes::parse(entries.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())))
    }

    #[test]
    fn limits_are_inclusive() {
        let key = "k".repeat(64);
        let value = "v".repeat(1024);
        assert!(parse(&[(&key, &value), ("line", "a\nb")]).is_ok());
        for (entries, error) in [
            (vec![("", "v")], AttributesError::KeyEmpty),
            (vec![("a\u{7}", "v")], AttributesError::KeyControl),
        ] {
            assert_eq!(parse(&entries), Err(error));
        }
        assert_eq!(parse(&[(&"k".repeat(65), "")]), Err(AttributesError::KeyTooLong));
        assert_eq!(parse(&[("k", &"v".repeat(1025))]), Err(AttributesError::ValueTooLong));
        let many = (0..33).map(|i| (i.to_string(), String::new()));
        assert_eq!(Attributes::parse(many), Err(AttributesError::TooMany));
    }

    #[test]
    fn a_patch_sets_and_removes_single_entries() {
        let before = parse(&[("a", "1"), ("b", "2")]).unwrap();
        let patch = BTreeMap::from([
            ("a".to_owned(), None),
            ("c".to_owned(), Some("3".to_owned())),
            ("never there".to_owned(), None),
        ]);
        let after = before.patched(AttributesPatch::Each(patch)).unwrap();
        assert_eq!(after, parse(&[("b", "2"), ("c", "3")]).unwrap());
        assert_eq!(before.patched(AttributesPatch::Keep).unwrap(), before);
    }
}
