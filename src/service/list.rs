//! ListUsers: the whole directory as a stream, one page in hand and at most one on its way.
//!
//! The next page is read while the present one is sent, and users come out of the page itself, so
//! that nothing is queued in between. The stream is pulled: a slow client slows the reading down,
//! and when the client is gone the stream is dropped, and the reading with it. A page may have
//! fewer users than it was asked for and yet not be the last: large users make it end early. A
//! listing does not end for a drain; the drain's limit bounds it.

use futures_util::stream::{self, Stream, StreamExt, TryStreamExt};
use tokio::task::JoinSet;
use tonic::Status;

use super::pages::{OpenListing, Pages};
use super::parse::{Violations, count, optional, status};
use crate::directory::Directory;
use crate::domain::{CanonicalEmail, Email, Error, Reason, User, UserId, UserStatus};
use crate::pb::user::v1 as pb;

const PAGE_DEFAULT: usize = 100;
const PAGE_MAX: usize = 1000;

/// A ListUsers request, checked: what is left to list.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Listing {
    position: Position,
    page: usize,
    status: Option<UserStatus>,
    /// How many users more may be sent.
    left: Option<usize>,
}

/// Users, and what is left to list after them.
type Page = (Vec<User>, Option<Listing>);

/// The order of a listing, and the last place in it that has been examined.
#[derive(Debug, PartialEq, Eq)]
enum Position {
    Id(Option<UserId>),
    Email { prefix: String, after: Option<String> },
}

impl Listing {
    pub(super) fn parse(request: &pb::ListUsersRequest) -> Result<Self, Error> {
        let mut found = Violations::default();
        let page = found.check("page_size", count(request.page_size)).flatten();
        let position = found.check("page_token", Position::parse(request));
        let status = found.check("status_filter", status(request.status_filter)).flatten();
        let left = found.check("limit", count(request.limit)).flatten();
        let Some(position) = position else { return Err(found.into()) };
        found.refuse_any()?;
        let page = page.unwrap_or(PAGE_DEFAULT).min(PAGE_MAX);
        Ok(Self { position, page, status, left })
    }

    /// The users, each as a message.
    ///
    /// # Errors
    ///
    /// [`Error::Overloaded`] if too many listings are open. This one stays open until its stream has
    /// ended or is dropped.
    pub(super) fn stream(
        self,
        directory: Directory,
        pages: Pages,
    ) -> Result<impl Stream<Item = Result<pb::User, Status>> + Send + 'static, Error> {
        let reading = Reading::begin(self, directory, pages)?;
        let users = stream::try_unfold(reading, |mut reading| async {
            let users = reading.next_page().await?;
            Ok::<_, Status>(users.map(|users| (users, reading)))
        });
        Ok(users.map_ok(|users| stream::iter(users).map(|user| Ok(user.into()))).try_flatten())
    }

    /// Reads a page and moves on behind it; `None` if nothing is left after it.
    fn read(mut self, directory: &Directory) -> Page {
        let max = match (self.left, self.status) {
            (Some(left), None) => left.min(self.page),
            // Who knows how many of them the filter lets through.
            (Some(_), Some(_)) | (None, _) => self.page,
        };
        let (mut users, next) = self.position.read(directory, max);
        tracing::trace!(users = users.len(), "a page was read");
        if let Some(status) = self.status {
            users.retain(|user| user.status == status);
        }
        if let Some(left) = &mut self.left {
            users.truncate(*left);
            *left -= users.len();
        }
        let next = next.filter(|_| self.left != Some(0));
        (users, next.map(|position| Self { position, ..self }))
    }
}

impl Position {
    fn parse(request: &pb::ListUsersRequest) -> Result<Self, Reason> {
        let token = request.page_token.as_str();
        if request.email_prefix.is_empty() {
            let after = optional(token, |token| UserId::parse(token).ok_or(Reason::NotAPosition))?;
            return Ok(Self::Id(after));
        }
        let prefix = CanonicalEmail::prefix(&request.email_prefix);
        let after = optional(token, |token| {
            let email = Email::parse(token).map_err(|_| Reason::NotAPosition)?;
            let canonical = email.canonical().as_str();
            canonical.starts_with(&prefix).then(|| canonical.to_owned()).ok_or(Reason::NotAPosition)
        })?;
        Ok(Self::Email { prefix, after })
    }

    /// Up to `max` users from here on, and the position behind them unless they are the last.
    fn read(self, directory: &Directory, max: usize) -> (Vec<User>, Option<Self>) {
        match self {
            Self::Id(after) => {
                let page = directory.users(after, max);
                (page.users, page.next.map(|id| Self::Id(Some(id))))
            }
            Self::Email { prefix, after } => {
                let page = directory.users_by_email(&prefix, after.as_deref(), max);
                let next = page.next.map(|after| Self::Email { prefix, after: Some(after) });
                (page.users, next)
            }
        }
    }
}

/// A listing whose next page, if there is one, is being read.
struct Reading {
    directory: Directory,
    pages: Pages,
    /// At most one task. Dropping the set aborts it.
    page: JoinSet<Result<Page, Error>>,
    _open: OpenListing,
}

impl Reading {
    fn begin(listing: Listing, directory: Directory, pages: Pages) -> Result<Self, Error> {
        let open = pages.open_listing()?;
        let mut reading = Self { directory, pages, page: JoinSet::new(), _open: open };
        reading.read_on(listing);
        Ok(reading)
    }

    fn read_on(&mut self, listing: Listing) {
        let (directory, pages) = (self.directory.clone(), self.pages.clone());
        self.page.spawn(async move { pages.read(move || Ok(listing.read(&directory))).await });
    }

    /// Waits for the page that is being read and begins with the one after it.
    async fn next_page(&mut self) -> Result<Option<Vec<User>>, Error> {
        let Some(page) = self.page.join_next().await else { return Ok(None) };
        let (users, rest) = page.map_err(Error::fault)??;
        if let Some(rest) = rest {
            self.read_on(rest);
        }
        Ok(Some(users))
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const ID: &str = "01900000-0000-7000-8000-000000000001";

    fn request(prefix: &str, token: &str) -> pb::ListUsersRequest {
        pb::ListUsersRequest {
            email_prefix: prefix.to_owned(),
            page_token: token.to_owned(),
            ..Default::default()
        }
    }

    fn parse(request: &pb::ListUsersRequest) -> Result<Listing, String> {
        Listing::parse(request).map_err(|error| error.to_string())
    }

    #[test]
    fn a_token_is_the_last_id_or_with_a_prefix_the_last_email() {
        let by_email = |prefix: &str, after: Option<&str>| Position::Email {
            prefix: prefix.to_owned(),
            after: after.map(str::to_owned),
        };
        for (prefix, token, expected) in [
            ("", "", Position::Id(None)),
            ("", ID, Position::Id(Some(UserId::new(Uuid::parse_str(ID).unwrap())))),
            ("AD", "", by_email("ad", None)),
            ("AD", " Ada@Example.ORG", by_email("ad", Some("ada@example.org"))),
        ] {
            let listing = parse(&request(prefix, token)).unwrap();
            assert_eq!(listing.position, expected, "{prefix:?} {token:?}");
        }
    }

    #[test]
    fn a_token_of_another_listing_is_refused() {
        for (prefix, token) in
            [("", "7"), ("", "ada@example.org"), ("a", ID), ("a", "ada"), ("b", "ada@example.org")]
        {
            let refused = "page_token is not a position of this listing".to_owned();
            assert_eq!(parse(&request(prefix, token)), Err(refused), "{prefix:?} {token:?}");
        }
    }

    #[test]
    fn a_page_has_a_hundred_users_unless_told_otherwise_and_a_thousand_at_most() {
        for (page_size, expected) in
            [(0, 100), (1, 1), (100, 100), (1000, 1000), (1001, 1000), (i32::MAX, 1000)]
        {
            let request = pb::ListUsersRequest { page_size, ..Default::default() };
            assert_eq!(parse(&request).unwrap().page, expected, "{page_size}");
        }
    }

    #[test]
    fn all_that_is_wrong_is_named() {
        let request = pb::ListUsersRequest {
            page_size: -1,
            limit: -1,
            status_filter: 3,
            ..request("", "no id")
        };
        assert_eq!(
            parse(&request),
            Err("page_size is negative; page_token is not a position of this listing; \
                 status_filter is not a known value; limit is negative"
                .to_owned())
        );
    }
}
