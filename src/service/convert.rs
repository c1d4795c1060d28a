//! From domain types to messages.

use crate::domain::{Timestamp, User, UserStatus};
use crate::pb::user::v1 as pb;

impl From<User> for pb::User {
    fn from(user: User) -> Self {
        Self {
            id: user.id.to_string(),
            email: user.email.into_address(),
            name: user.name.into_string(),
            status: pb::UserStatus::from(user.status).into(),
            created_at: Some(timestamp(user.created_at)),
            updated_at: Some(timestamp(user.updated_at)),
            revision: user.revision.to_i64(),
            attributes: user.attributes.into_entries().collect(),
            deleted_at: None,
        }
    }
}

impl From<UserStatus> for pb::UserStatus {
    fn from(status: UserStatus) -> Self {
        match status {
            UserStatus::Active => Self::Active,
            UserStatus::Inactive => Self::Inactive,
        }
    }
}

fn timestamp(at: Timestamp) -> prost_types::Timestamp {
    let (seconds, micros) = (at.micros().div_euclid(1_000_000), at.micros().rem_euclid(1_000_000));
    // Below 10^9, so the default is never taken.
    let nanos = i32::try_from(micros * 1_000).unwrap_or_default();
    prost_types::Timestamp { seconds, nanos }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::{Attributes, Email, Name, Revision, UserId};

    #[test]
    fn a_user_becomes_a_message() {
        let attributes = [("team".to_owned(), "blue".to_owned())];
        let user = User {
            id: UserId::new(Uuid::from_u128(1)),
            email: Email::parse("Ada@Example.org").unwrap(),
            name: Name::parse("Ada").unwrap(),
            status: UserStatus::Inactive,
            attributes: Attributes::parse(attributes.clone()).unwrap(),
            created_at: Timestamp::from_micros(1_500_000),
            updated_at: Timestamp::from_micros(2_000_001),
            revision: Revision::new(7),
        };
        let expected = pb::User {
            id: "00000000-0000-0000-0000-000000000001".to_owned(),
            email: "Ada@Example.org".to_owned(),
            name: "Ada".to_owned(),
            status: pb::UserStatus::Inactive.into(),
            created_at: Some(prost_types::Timestamp { seconds: 1, nanos: 500_000_000 }),
            updated_at: Some(prost_types::Timestamp { seconds: 2, nanos: 1_000 }),
            revision: 7,
            attributes: attributes.into(),
            deleted_at: None,
        };
        assert_eq!(pb::User::from(user), expected);
    }

    #[test]
    fn a_timestamp_counts_its_fraction_forwards() {
        for (micros, seconds, nanos) in [
            (0, 0, 0),
            (999_999, 0, 999_999_000),
            (-1, -1, 999_999_000),
            (-1_000_000, -1, 0),
            (1_700_000_000_123_456, 1_700_000_000, 123_456_000),
        ] {
            let expected = prost_types::Timestamp { seconds, nanos };
            assert_eq!(timestamp(Timestamp::from_micros(micros)), expected, "{micros}");
        }
    }
}
