//! A user, and what names one.

use std::fmt;

use uuid::Uuid;

use super::{Attributes, Email, Name, Revision, Timestamp};

/// The most bytes that one user's record may take. Nineteen of them fit into a leaf of the store
/// without making it start a file of its own that nobody syncs.
pub const RECORD_BYTES_MAX: usize = 6 * 1024;

/// What a record takes beside its texts: id, times, revision, lengths, version and checksum.
const RECORD_BYTES_FIXED: usize = 128;

/// Names a user for ever: a UUIDv7, so ids sort by creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(Uuid);

impl UserId {
    /// The id with these bits.
    pub const fn new(id: Uuid) -> Self {
        Self(id)
    }

    /// Reads the text form of a UUID; anything else names nobody.
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok().map(Self)
    }

    /// The bits of the id, which sort as the id does.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// Reads the bits of an id.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Uuid::from_slice(bytes).ok().map(Self)
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whether a user is active.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UserStatus {
    /// The user is active.
    #[default]
    Active,
    /// The user is kept, but cannot log in.
    Inactive,
}

/// One user of the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The id.
    pub id: UserId,
    /// The email, as typed and in its canonical form.
    pub email: Email,
    /// The display name.
    pub name: Name,
    /// Whether the user is active.
    pub status: UserStatus,
    /// Free attributes.
    pub attributes: Attributes,
    /// When the user was created, by directory time.
    pub created_at: Timestamp,
    /// When the user was last changed, by directory time.
    pub updated_at: Timestamp,
    /// The revision that last changed the user.
    pub revision: Revision,
}

impl User {
    /// Whether the record of this user stays within [`RECORD_BYTES_MAX`].
    pub fn fits_a_record(&self) -> bool {
        fit_a_record(&self.email, &self.name, &self.attributes)
    }
}

/// Whether a record with these texts stays within [`RECORD_BYTES_MAX`].
pub(super) fn fit_a_record(email: &Email, name: &Name, attributes: &Attributes) -> bool {
    let attributes = attributes.bytes() + 4 * attributes.iter().len();
    RECORD_BYTES_FIXED + email.bytes() + name.as_str().len() + attributes <= RECORD_BYTES_MAX
}
