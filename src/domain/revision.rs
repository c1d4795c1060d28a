//! Where a directory stands, and which directory it is.

use std::fmt;

use uuid::Uuid;

/// The number of a committed change: 1, 2, 3, … without gaps, never reused under one
/// [`DirectoryId`]. Zero is the empty directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(u64);

impl Revision {
    /// The revision of a directory that has seen no change.
    pub const ZERO: Self = Self(0);

    /// The revision with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number itself.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The revision of the change after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The number as the signed integer that the wire carries.
    pub const fn to_i64(self) -> i64 {
        self.0.cast_signed()
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names one directory for its whole life: revisions of different ids are never compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectoryId(Uuid);

impl DirectoryId {
    /// The id with these bits.
    pub const fn new(id: Uuid) -> Self {
        Self(id)
    }

    /// The bits of the id.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// Reads the text form.
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::parse_str(text).ok().map(Self)
    }
}

impl fmt::Display for DirectoryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
