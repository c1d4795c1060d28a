//! BulkCreateUsers: a stream of new users in chunks, one being gathered while one commits.
//!
//! A chunk is what the client has sent by now, so a client that pauses does not keep what it sent
//! from being written. Nothing is read beyond the chunk that is being gathered: the stream is as
//! fast as the directory commits, and, with passwords, as the pool hashes; a chunk has few of those,
//! so that it commits soon and a drain need not wait for long. Items fail one by one; an error that
//! is not an item's ends the stream, and its status says how many users were kept. If the client
//! goes away, what was handed to the directory stands.

use std::mem;
use std::pin::{Pin, pin};
use std::time::Duration;

use futures_util::stream::{self, Stream, StreamExt};
use tokio::time;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::create::{Begun, answered_user};
use super::incoming::{self, Incoming, STREAM_IDLE};
use super::parse::Create;
use super::tally::{Cut, ITEMS_MAX, Place, Tally};
use crate::auth::PasswordPool;
use crate::directory::Directory;
use crate::domain::{Actor, Error, User, Write};
use crate::pb::user::v1 as pb;

/// The most items in a chunk, and so in a commit.
const CHUNK_MAX: usize = 256;

/// The most passwords in a chunk, for each that the pool hashes at the same time: a fifth of a
/// second's work.
const PASSWORDS_MAX_PER_WORKER: usize = 4;

/// How long a stream may go on when the daemon stops: well within the drain's limit, so that its
/// client is told what was kept.
const DRAIN_GRACE: Duration = Duration::from_secs(15);

/// What a stream of new users works with.
pub(super) struct Bulk<'a> {
    actor: Actor,
    directory: &'a Directory,
    passwords: &'a PasswordPool,
    draining: &'a CancellationToken,
}

/// An item as far as it has come.
struct Item<T> {
    place: Place,
    state: Result<T, Error>,
}

/// An item that waits for its commit.
enum Prepared {
    Answered(User),
    Write(Box<Write>),
}

/// A chunk, and whether the stream goes on after it.
struct Chunk {
    items: Vec<Item<Prepared>>,
    end: Option<End>,
}

enum End {
    Complete,
    Cut(Cut),
}

type Parsed = Result<Item<Create>, Status>;

impl<'a> Bulk<'a> {
    pub(super) fn new(
        actor: Actor,
        directory: &'a Directory,
        passwords: &'a PasswordPool,
        draining: &'a CancellationToken,
    ) -> Self {
        Self { actor, directory, passwords, draining }
    }

    /// Creates what the stream brings.
    pub(super) async fn run(
        &self,
        requests: impl Stream<Item = Result<pb::CreateUserRequest, Status>> + Send,
    ) -> Result<pb::BulkCreateResponse, Status> {
        // Parsed as they come, so that a chunk of large requests is never held.
        let ready = requests.enumerate().map(parse).ready_chunks(CHUNK_MAX);
        let passwords_max = PASSWORDS_MAX_PER_WORKER * self.passwords.width().max(1);
        let chunks = pin!(ready.flat_map(|chunk| stream::iter(split(chunk, passwords_max))));
        let mut tally = Tally::default();
        match self.run_chunks(chunks, &mut tally).await {
            Ok(()) => Ok(tally.complete()),
            Err(cut) => Err(tally.cut(cut)),
        }
    }

    async fn run_chunks(
        &self,
        mut chunks: Pin<&mut (impl Stream<Item = Vec<Parsed>> + Send)>,
        tally: &mut Tally,
    ) -> Result<(), Cut> {
        let mut stop = pin!(self.end_of_drain());
        let mut items = Vec::new();
        let end = loop {
            let commit = self.commit(mem::take(&mut items), tally);
            // How the stream ends waits for the commit, but not the other way round: a commit that
            // fails ends the call while the client is still sending.
            let gather = async { Ok(self.gather(chunks.as_mut(), stop.as_mut()).await) };
            let ((), chunk) = tokio::try_join!(commit, gather).map_err(Cut::Error)?;
            items = chunk.items;
            if let Some(end) = chunk.end {
                break end;
            }
        };
        self.commit(items, tally).await.map_err(Cut::Error)?;
        match end {
            End::Complete => Ok(()),
            End::Cut(cut) => Err(cut),
        }
    }

    /// Waits for what the client sends next and does all for it but the writing.
    async fn gather(
        &self,
        mut chunks: Pin<&mut (impl Stream<Item = Vec<Parsed>> + Send)>,
        stop: Pin<&mut (impl Future<Output = ()> + Send)>,
    ) -> Chunk {
        let cut = |cut| Chunk { items: Vec::new(), end: Some(End::Cut(cut)) };
        match incoming::next(&mut chunks, stop, STREAM_IDLE).await {
            Incoming::Item(parsed) => {
                let (items, end) = take_good(parsed);
                Chunk { items: self.prepare_all(items).await, end }
            }
            Incoming::End => Chunk { items: Vec::new(), end: Some(End::Complete) },
            Incoming::Idle => cut(Cut::Idle),
            Incoming::Stopped => cut(Cut::Draining),
        }
    }

    async fn prepare_all(&self, items: Vec<Item<Create>>) -> Vec<Item<Prepared>> {
        let width = self.passwords.width().max(1);
        stream::iter(items).map(|item| self.prepare(item)).buffered(width).collect().await
    }

    async fn prepare(&self, item: Item<Create>) -> Item<Prepared> {
        let state = match item.state {
            Ok(create) => self.begin(create).await,
            Err(error) => Err(error),
        };
        Item { place: item.place, state }
    }

    async fn begin(&self, create: Create) -> Result<Prepared, Error> {
        let mut ready = match Begun::new(create, self.actor.clone(), self.directory)? {
            Begun::Answered(user) => return Ok(Prepared::Answered(user)),
            Begun::Ready(ready) => ready,
        };
        let credential = match ready.password.take() {
            Some(password) => Some(self.passwords.hash(password).await?),
            None => None,
        };
        Ok(Prepared::Write(Box::new(ready.into_write(credential))))
    }

    /// Writes a chunk and counts what came of it. All of it is counted, even after an error that
    /// ends the stream.
    async fn commit(&self, items: Vec<Item<Prepared>>, tally: &mut Tally) -> Result<(), Error> {
        let mut writes = Vec::with_capacity(items.len());
        let mut known = Vec::with_capacity(items.len());
        for Item { place, state } in items {
            match state {
                Ok(Prepared::Write(write)) => {
                    writes.push(*write);
                    known.push((place, None));
                }
                Ok(Prepared::Answered(user)) => known.push((place, Some(Ok(user)))),
                Err(error) => known.push((place, Some(Err(error)))),
            }
        }
        let mut written = self.directory.write_all(writes).await.into_iter();
        let mut counted = Ok(());
        for (place, result) in known {
            let result = result.unwrap_or_else(|| match written.next() {
                Some(outcome) => outcome.and_then(answered_user),
                None => Err(Error::fault("a write was not answered")),
            });
            counted = counted.and(tally.count(place, result));
        }
        counted
    }

    async fn end_of_drain(&self) {
        self.draining.cancelled().await;
        time::sleep(DRAIN_GRACE).await;
    }
}

fn parse((index, request): (usize, Result<pb::CreateUserRequest, Status>)) -> Parsed {
    let request = request?;
    let place = Place::new(index, request.email.clone());
    Ok(Item { place, state: Create::parse(request) })
}

/// Cuts a chunk into chunks that have no more passwords than this each.
fn split(parsed: Vec<Parsed>, passwords_max: usize) -> Vec<Vec<Parsed>> {
    let (mut chunks, mut chunk, mut passwords) = (Vec::new(), Vec::new(), 0);
    for item in parsed {
        if has_password(&item) {
            if passwords == passwords_max {
                chunks.push(mem::take(&mut chunk));
                passwords = 0;
            }
            passwords += 1;
        }
        chunk.push(item);
    }
    chunks.push(chunk);
    chunks
}

fn has_password(parsed: &Parsed) -> bool {
    matches!(parsed, Ok(Item { state: Ok(create), .. }) if create.password.is_some())
}

/// The items before the first thing that ends the stream.
fn take_good(parsed: Vec<Parsed>) -> (Vec<Item<Create>>, Option<End>) {
    let mut items = Vec::with_capacity(parsed.len());
    for item in parsed {
        match item {
            Ok(item) if item.place.index < ITEMS_MAX => items.push(item),
            Ok(_) => return (items, Some(End::Cut(Cut::Limit))),
            Err(status) => return (items, Some(End::Cut(Cut::Broken(status)))),
        }
    }
    (items, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(index: usize) -> Parsed {
        let request =
            pb::CreateUserRequest { email: format!("{index}@example.org"), ..Default::default() };
        parse((index, Ok(request)))
    }

    #[test]
    fn a_stream_is_cut_before_the_first_item_too_many_and_at_what_is_no_message() {
        let (items, end) = take_good(vec![request(0), request(ITEMS_MAX - 1)]);
        assert!(items.len() == 2 && end.is_none());
        let (items, end) = take_good(vec![request(ITEMS_MAX - 1), request(ITEMS_MAX)]);
        assert!(items.len() == 1 && matches!(end, Some(End::Cut(Cut::Limit))));
        let broken = parse((1, Err(Status::internal("no message"))));
        let (items, end) = take_good(vec![request(0), broken, request(2)]);
        assert!(items.len() == 1 && matches!(end, Some(End::Cut(Cut::Broken(_)))));
    }

    #[test]
    fn a_chunk_is_cut_before_one_password_too_many() {
        let with_password = |index| {
            let email = format!("{index}@example.org");
            let password = "correct horse".to_owned();
            parse((index, Ok(pb::CreateUserRequest { email, password, ..Default::default() })))
        };
        for (passwords, lengths) in
            [(0..0, vec![6]), (0..6, vec![2, 2, 2]), (3..6, vec![5, 1]), (0..2, vec![6])]
        {
            let item = |index| {
                if passwords.contains(&index) { with_password(index) } else { request(index) }
            };
            let chunks = split((0..6).map(item).collect(), 2);
            assert_eq!(chunks.iter().map(Vec::len).collect::<Vec<_>>(), lengths, "{passwords:?}");
            let items = chunks.into_iter().flatten().map(|item| item.unwrap().place.index);
            assert!(items.eq(0..6));
        }
    }

    #[test]
    fn an_item_that_breaks_a_rule_stays_in_its_place() {
        let request = pb::CreateUserRequest { email: "nobody".to_owned(), ..Default::default() };
        let item = parse((7, Ok(request))).unwrap();
        assert_eq!(item.place.index, 7);
        assert!(matches!(item.state, Err(Error::Invalid(_))));
    }
}
