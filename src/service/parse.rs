//! From messages to domain types. All that a request does wrong is found, not only the first.

use std::collections::BTreeMap;
use std::mem;

use uuid::Uuid;
use zeroize::Zeroizing;

use super::repeat::Repeat;
use crate::auth::Password;
use crate::domain::{
    Attributes, Email, Error, Name, NewUser, Reason, Revision, UserId, UserStatus, Violation,
};
use crate::pb::user::v1 as pb;

/// The rules that a request breaks, as they are found.
#[derive(Default)]
pub(super) struct Violations(Vec<Violation>);

impl Violations {
    /// The value of a field, or `None` after noting the rule that the field breaks.
    pub(super) fn check<T>(
        &mut self,
        field: &str,
        parsed: Result<T, impl Into<Reason>>,
    ) -> Option<T> {
        parsed.map_err(|reason| self.note(field, reason)).ok()
    }

    /// Notes that a field breaks a rule.
    pub(super) fn note(&mut self, field: &str, reason: impl Into<Reason>) {
        self.0.push(Violation::new(field, reason));
    }

    /// Goes on only if no rule is broken.
    pub(super) fn refuse_any(self) -> Result<(), Error> {
        if self.0.is_empty() { Ok(()) } else { Err(self.into()) }
    }
}

impl From<Violations> for Error {
    fn from(violations: Violations) -> Self {
        Self::Invalid(violations.0)
    }
}

/// A CreateUser request, checked.
pub(super) struct Create {
    /// The user, without a credential.
    pub(super) user: NewUser,
    /// The password, to be hashed into the user's credential.
    pub(super) password: Option<Password>,
    /// How the request is known again.
    pub(super) repeat: Option<Repeat>,
}

/// A DeleteUser request, checked.
pub(super) struct Delete {
    pub(super) id: UserId,
    pub(super) expected: Option<Revision>,
    pub(super) repeat: Option<Repeat>,
}

impl Create {
    pub(super) fn parse(mut request: pb::CreateUserRequest) -> Result<Self, Error> {
        let mut found = Violations::default();
        let repeat_id =
            found.check("request_id", request_id(&mem::take(&mut request.request_id))).flatten();
        let repeat = repeat_id.map(|id| Repeat::new(id, "CreateUser", &request));
        let password = Zeroizing::new(mem::take(&mut request.password));
        let email = found.check("email", Email::parse(&request.email));
        let name = found.check("name", Name::parse(&request.name));
        let password = found.check("password", optional(&password, Password::parse));
        let attributes = found.check("attributes", attributes(request.attributes));
        let status = found.check("status", status(request.status));
        let (Some(email), Some(name), Some(password), Some(attributes), Some(status)) =
            (email, name, password, attributes, status)
        else {
            return Err(found.into());
        };
        let status = status.unwrap_or_default();
        let user = NewUser { email, name, status, attributes, credential: None };
        if !user.fits_a_record() {
            found.note("attributes", Reason::RecordTooLarge);
        }
        found.refuse_any()?;
        Ok(Self { user, password, repeat })
    }
}

impl Delete {
    pub(super) fn parse(mut request: pb::DeleteUserRequest) -> Result<Self, Error> {
        let mut found = Violations::default();
        let repeat_id =
            found.check("request_id", request_id(&mem::take(&mut request.request_id))).flatten();
        let repeat = repeat_id.map(|id| Repeat::new(id, "DeleteUser", &request));
        let expected = found.check("expected_revision", revision(request.expected_revision));
        found.refuse_any()?;
        let id = user_id(&request.user_id)?;
        Ok(Self { id, expected: expected.flatten(), repeat })
    }
}

/// The id of a user. To callers ids are opaque, so what is no UUID is only an unknown id.
pub(super) fn user_id(text: &str) -> Result<UserId, Error> {
    UserId::parse(text).ok_or(Error::UserNotFound)
}

/// The email that a caller looks a user up by.
pub(super) fn email(text: &str) -> Result<Email, Error> {
    Email::parse(text).map_err(|reason| Error::Invalid(vec![Violation::new("email", reason)]))
}

/// A request id, if the caller gave one.
pub(super) fn request_id(text: &str) -> Result<Option<Uuid>, Reason> {
    optional(text, |text| Uuid::try_parse(text).map_err(|_| Reason::NotAUuid))
}

/// A user's status; `None` for UNSPECIFIED.
pub(super) fn status(number: i32) -> Result<Option<UserStatus>, Reason> {
    match pb::UserStatus::try_from(number) {
        Ok(pb::UserStatus::Unspecified) => Ok(None),
        Ok(pb::UserStatus::Active) => Ok(Some(UserStatus::Active)),
        Ok(pb::UserStatus::Inactive) => Ok(Some(UserStatus::Inactive)),
        Err(_) => Err(Reason::UnknownValue),
    }
}

/// The revision that a user must have; `None` for zero.
pub(super) fn revision(number: i64) -> Result<Option<Revision>, Reason> {
    let number = u64::try_from(number).map_err(|_| Reason::Negative)?;
    Ok((number > 0).then_some(Revision::new(number)))
}

/// A number of things; `None` for zero.
pub(super) fn count(number: i32) -> Result<Option<usize>, Reason> {
    let number = usize::try_from(number).map_err(|_| Reason::Negative)?;
    Ok((number > 0).then_some(number))
}

/// Attributes with all their limits.
pub(super) fn attributes(entries: BTreeMap<String, String>) -> Result<Attributes, Reason> {
    Ok(Attributes::parse(entries)?)
}

/// `None` for an empty text, which is how protobuf says that there is none.
pub(super) fn optional<T>(
    text: &str,
    parse: impl FnOnce(&str) -> Result<T, Reason>,
) -> Result<Option<T>, Reason> {
    if text.is_empty() { Ok(None) } else { parse(text).map(Some) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parses a request and compares the fields that it is told to be wrong.
    fn check(change: impl FnOnce(&mut pb::CreateUserRequest), expected: &[&str]) {
        let mut request =
            pb::CreateUserRequest { email: "ada@example.org".to_owned(), ..Default::default() };
        change(&mut request);
        let shown = format!("{request:?}");
        let fields = match Create::parse(request) {
            Ok(_) => Vec::new(),
            Err(Error::Invalid(found)) => found.into_iter().map(|one| one.field).collect(),
            Err(error) => panic!("{error}"),
        };
        assert_eq!(fields, expected, "{shown}");
    }

    fn entries(count: usize, value_bytes: usize) -> BTreeMap<String, String> {
        (0..count).map(|i| (format!("key-{i}"), "v".repeat(value_bytes))).collect()
    }

    #[test]
    fn a_good_request_is_let_through() {
        check(|_| {}, &[]);
        check(|request| request.name = "Ada".to_owned(), &[]);
        check(|request| request.password = "correct horse".to_owned(), &[]);
        check(|request| request.request_id = Uuid::nil().to_string(), &[]);
        check(|request| request.status = pb::UserStatus::Inactive.into(), &[]);
        check(|request| request.attributes = entries(32, 100), &[]);
    }

    #[test]
    fn each_field_that_breaks_a_rule_is_named() {
        check(|request| request.email.clear(), &["email"]);
        check(|request| request.name = "n".repeat(257), &["name"]);
        check(|request| request.password = "short".to_owned(), &["password"]);
        check(|request| request.request_id = "7".to_owned(), &["request_id"]);
        check(|request| request.status = 3, &["status"]);
        check(|request| request.attributes = entries(33, 1), &["attributes"]);
        check(|request| request.attributes = entries(1, 1025), &["attributes"]);
    }

    #[test]
    fn all_fields_that_break_a_rule_are_named_at_once() {
        let all = ["request_id", "email", "name", "password", "attributes", "status"];
        let break_all = |request: &mut pb::CreateUserRequest| {
            *request = pb::CreateUserRequest {
                email: "ada".to_owned(),
                name: "a\tb".to_owned(),
                password: "a\tb".to_owned(),
                request_id: "7".to_owned(),
                attributes: entries(33, 1),
                status: -1,
            };
        };
        check(break_all, &all);
    }

    #[test]
    fn attributes_that_are_good_one_by_one_can_be_too_large_together() {
        check(|request| request.attributes = entries(5, 1024), &[]);
        check(|request| request.attributes = entries(6, 1024), &["attributes"]);
    }

    #[test]
    fn a_user_is_active_unless_told_otherwise() {
        for (number, expected) in [(0, UserStatus::Active), (2, UserStatus::Inactive)] {
            let request = pb::CreateUserRequest {
                email: "ada@example.org".to_owned(),
                status: number,
                ..Default::default()
            };
            assert_eq!(Create::parse(request).unwrap().user.status, expected);
        }
    }

    #[test]
    fn a_revision_is_expected_unless_it_is_zero() {
        assert_eq!(revision(0), Ok(None));
        assert_eq!(revision(7), Ok(Some(Revision::new(7))));
        assert_eq!(revision(-1), Err(Reason::Negative));
    }

    #[test]
    fn an_id_that_is_no_uuid_names_nobody() {
        for text in ["", "7", "00000000-0000-0000-0000-00000000000", "no such user"] {
            let request = pb::DeleteUserRequest { user_id: text.to_owned(), ..Default::default() };
            assert!(matches!(Delete::parse(request), Err(Error::UserNotFound)), "{text:?}");
        }
    }
}
