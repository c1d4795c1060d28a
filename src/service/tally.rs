//! What has become of the items of a BulkCreateUsers stream so far, and how that is answered.

use tonic::{Code, Status};

use super::incoming;
use super::status::{code_and_reason, status_with, status_within};
use crate::domain::{Error, User, UserId};
use crate::pb::user::v1 as pb;

/// How many refused items the answer lists.
const FAILURES_MAX: usize = 100;

const EMAIL_BYTES_MAX: usize = 254;

/// The most items in a stream: the answer to all of them stays within the 4 MiB that every client
/// takes, at 38 bytes an id.
pub(super) const ITEMS_MAX: usize = 100_000;

/// Which item of a stream.
pub(super) struct Place {
    /// Counted from 0.
    pub(super) index: usize,
    /// The email as sent, cut to what a report shows of it.
    email: String,
}

impl Place {
    pub(super) fn new(index: usize, mut email: String) -> Self {
        if email.len() > EMAIL_BYTES_MAX {
            let cut = (0..=EMAIL_BYTES_MAX).rev().find(|&cut| email.is_char_boundary(cut));
            email.truncate(cut.unwrap_or_default());
            // A refused item may have brought an email of any length.
            email.shrink_to_fit();
        }
        Self { index, email }
    }
}

/// Why a stream of new users ended before it was complete.
#[derive(Debug)]
pub(super) enum Cut {
    /// It had one item too many.
    Limit,
    /// The client was silent for too long.
    Idle,
    /// The daemon stops.
    Draining,
    /// Something came that is no message.
    Broken(Status),
    /// An error that is not an item's.
    Error(Error),
}

/// The items so far, all of them durable or refused.
#[derive(Default)]
pub(super) struct Tally {
    created: Vec<UserId>,
    failures: Vec<pb::BulkCreateFailure>,
    failed: usize,
}

impl Tally {
    /// Counts an item.
    ///
    /// # Errors
    ///
    /// The error, if it is not the item's: then there is no use in going on.
    pub(super) fn count(&mut self, place: Place, result: Result<User, Error>) -> Result<(), Error> {
        match result {
            Ok(user) => self.created.push(user.id),
            Err(error) if is_of_item(&error) => self.count_failure(place, &error),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// The answer when the stream is complete.
    pub(super) fn complete(self) -> pb::BulkCreateResponse {
        pb::BulkCreateResponse {
            created_count: number(self.created.len()),
            user_ids: self.created.iter().map(UserId::to_string).collect(),
            failures: self.failures,
            failed_count: number(self.failed),
        }
    }

    /// The answer when the stream was cut, which says what was kept of it.
    pub(super) fn cut(&self, cut: Cut) -> Status {
        let created = self.created.len();
        let metadata =
            [("created_count", created.to_string()), ("failed_count", self.failed.to_string())];
        let remark = format!("; of what came before, {created} users were created and are kept");
        match cut {
            Cut::Limit => {
                let message = format!("a stream has at most {ITEMS_MAX} items{remark}");
                status_with(Code::ResourceExhausted, "BULK_LIMIT_EXCEEDED", message, &metadata)
            }
            Cut::Idle => incoming::idle(&metadata, &remark),
            Cut::Draining => status_within(Error::Unavailable("stopping"), &metadata, &remark),
            Cut::Broken(status) => incoming::broken(&status, &metadata, &remark),
            Cut::Error(error) => status_within(error, &metadata, &remark),
        }
    }

    fn count_failure(&mut self, place: Place, error: &Error) {
        self.failed += 1;
        if self.failures.len() < FAILURES_MAX {
            let (code, reason) = code_and_reason(error);
            self.failures.push(pb::BulkCreateFailure {
                index: i64::try_from(place.index).unwrap_or(i64::MAX),
                email: place.email,
                code: code.into(),
                reason: reason.to_owned(),
                message: error.to_string(),
            });
        }
    }
}

/// Whether an error is about one item. The others would meet every item after it as well.
fn is_of_item(error: &Error) -> bool {
    match error {
        Error::Invalid(_)
        | Error::UserNotFound
        | Error::EmailTaken
        | Error::RevisionMismatch { .. }
        | Error::RequestIdReused => true,
        Error::Overloaded(_) | Error::DiskFull | Error::Unavailable(_) | Error::Fault(_) => false,
    }
}

fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use tonic_types::StatusExt;
    use uuid::Uuid;

    use super::*;
    use crate::domain::{Attributes, Email, Name, Revision, Timestamp, UserStatus, Violation};

    fn user(number: u128) -> User {
        User {
            id: UserId::new(Uuid::from_u128(number)),
            email: Email::parse("ada@example.org").unwrap(),
            name: Name::default(),
            status: UserStatus::Active,
            attributes: Attributes::default(),
            created_at: Timestamp::default(),
            updated_at: Timestamp::default(),
            revision: Revision::ZERO,
        }
    }

    fn place(index: usize) -> Place {
        Place::new(index, format!("{index}@example.org"))
    }

    #[test]
    fn good_items_are_listed_in_order_and_bad_ones_with_their_reasons() {
        let mut tally = Tally::default();
        tally.count(place(0), Ok(user(2))).unwrap();
        tally.count(place(1), Err(Error::EmailTaken)).unwrap();
        tally.count(place(2), Ok(user(1))).unwrap();
        let answer = tally.complete();
        assert_eq!((answer.created_count, answer.failed_count), (2, 1));
        assert_eq!(answer.user_ids, [user(2).id.to_string(), user(1).id.to_string()]);
        let expected = pb::BulkCreateFailure {
            index: 1,
            email: "1@example.org".to_owned(),
            code: Code::AlreadyExists.into(),
            reason: "EMAIL_TAKEN".to_owned(),
            message: "a user with this email exists".to_owned(),
        };
        assert_eq!(answer.failures, [expected]);
    }

    #[test]
    fn an_error_that_is_not_the_items_is_handed_back() {
        for error in [
            Error::Overloaded("x"),
            Error::DiskFull,
            Error::Unavailable("stopping"),
            Error::fault("disk"),
        ] {
            assert!(Tally::default().count(place(0), Err(error)).is_err());
        }
    }

    #[test]
    fn a_cut_stream_is_told_what_was_kept() {
        let malformed = Cut::Broken(Status::internal("no message"));
        let too_large = Cut::Broken(Status::out_of_range("too large"));
        for (cut, code, reason) in [
            (Cut::Limit, Code::ResourceExhausted, "BULK_LIMIT_EXCEEDED"),
            (Cut::Idle, Code::DeadlineExceeded, "STREAM_IDLE"),
            (Cut::Draining, Code::Unavailable, "UNAVAILABLE"),
            (malformed, Code::InvalidArgument, "MESSAGE_MALFORMED"),
            (too_large, Code::ResourceExhausted, "MESSAGE_TOO_LARGE"),
            (Cut::Error(Error::DiskFull), Code::ResourceExhausted, "DISK_FULL"),
        ] {
            let mut tally = Tally::default();
            tally.count(place(0), Ok(user(1))).unwrap();
            let status = tally.cut(cut);
            let details = status.get_error_details();
            let info = details.error_info().unwrap();
            assert_eq!((status.code(), info.reason.as_str()), (code, reason));
            assert_eq!(info.metadata["created_count"], "1");
            assert!(status.message().contains("1 users were created"), "{}", status.message());
            let retry = ["UNAVAILABLE", "DISK_FULL"].contains(&reason);
            assert_eq!(details.retry_info().is_some(), retry, "{reason}");
        }
    }

    #[test]
    fn the_largest_answer_is_one_that_every_client_takes() {
        let mut tally = Tally::default();
        for index in 0..ITEMS_MAX {
            tally.count(place(index), Ok(user(1))).unwrap();
        }
        for index in 0..FAILURES_MAX + 1 {
            let fields = ["request_id", "email", "name", "password", "attributes", "status"];
            let reason = crate::domain::AttributesError::ValueTooLong;
            let all = fields.map(|field| Violation::new(field, reason.clone()));
            let place = Place::new(index, "e".repeat(1000));
            tally.count(place, Err(Error::Invalid(all.into()))).unwrap();
        }
        let answer = tally.complete();
        assert_eq!((answer.failures.len(), answer.failed_count), (100, 101));
        assert!(answer.encoded_len() < 4 * 1024 * 1024, "{}", answer.encoded_len());
    }

    #[test]
    fn the_email_of_a_report_is_cut_between_characters() {
        assert_eq!(Place::new(0, "é".repeat(200)).email, "é".repeat(127));
        assert_eq!(Place::new(0, format!("e{}", "é".repeat(200))).email.len(), 253);
        assert_eq!(Place::new(0, "ada".to_owned()).email, "ada");
    }
}
