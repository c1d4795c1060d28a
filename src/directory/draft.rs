//! The group under construction: decides each write against the keyspace and the group so far.
//!
//! A write that is refused leaves no trace in the group. The edits of a change stand in an order in
//! which no reader sees half of it: a user is put before its index entry, and an index entry is
//! removed before its user.

use std::collections::HashMap;

use uuid::{ContextV7, Uuid};

use crate::domain::{
    Actor, Change, ChangeKind, Edit, Email, Error, NewUser, Outcome, Patch, Reason, RequestId,
    Revision, Timestamp, Totals, Tree, User, UserId, Violation, Write, WriteOp,
};
use crate::journal::{Group, Position};
use crate::keyspace::{
    Answer, Keyspace, RecordError, Value, age_key, decode_answer, decode_id, decode_user,
    encode_age, encode_answer, encode_credential, encode_id, encode_user, entry_hash, request_key,
};

/// For how long a request is remembered, in directory time.
const REQUEST_SECONDS: i64 = 24 * 60 * 60;

/// How many requests are remembered.
const REQUESTS_MAX: u64 = 1_000_000;

/// The most requests that are forgotten with one group; more than one group can add is enough.
const EXPIRED_MAX: usize = 512;

/// Makes ids that rise, also within a millisecond.
pub(super) type Ids = ContextV7;

/// A group under construction.
pub(super) struct Draft<'a> {
    keyspace: &'a Keyspace,
    ids: &'a mut Ids,
    now: Timestamp,
    revision: Revision,
    totals: Totals,
    /// What the group does to entries; reads see it over the keyspace.
    pending: HashMap<(Tree, Vec<u8>), Option<Vec<u8>>>,
    changes: Vec<Change>,
    bytes: usize,
}

/// What a write comes to, before it is part of the group.
struct Decision {
    kind: ChangeKind,
    edits: Vec<Edit>,
    outcome: Outcome,
}

enum Found<'a> {
    Pending(&'a [u8]),
    Stored(Value),
}

impl std::ops::Deref for Found<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Pending(bytes) => bytes,
            Self::Stored(bytes) => bytes,
        }
    }
}

impl<'a> Draft<'a> {
    pub(super) fn new(
        keyspace: &'a Keyspace,
        position: &Position,
        now: Timestamp,
        ids: &'a mut Ids,
    ) -> Self {
        Self {
            keyspace,
            ids,
            now,
            revision: position.revision,
            totals: position.totals,
            pending: HashMap::new(),
            changes: Vec::new(),
            bytes: 0,
        }
    }

    /// How many bytes the edits take so far.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The group, with the expiry of old requests at its end; `None` if nothing changes.
    pub(super) fn finish(mut self) -> Option<Group> {
        if self.changes.is_empty() {
            return None;
        }
        self.expire_requests();
        Some(Group { changes: self.changes, totals: self.totals })
    }

    /// Decides one write and makes it part of the group, unless it is refused, repeated, or changes
    /// nothing.
    pub(super) fn decide(&mut self, write: Write) -> Result<Outcome, Error> {
        let request = write.request.map(|request| (request_key(&write.actor, request.id), request));
        if let Some((key, request)) = &request
            && let Some(outcome) = self.first_answer(key, request)?
        {
            return Ok(outcome);
        }
        let revision = self.revision.next();
        let mut decision = match write.op {
            WriteOp::Create(new) => self.create(new, revision)?,
            WriteOp::Update { id, expected, patch } => {
                self.update(id, expected, patch, revision)?
            }
            WriteOp::Delete { id, expected } => self.delete(id, expected)?,
        };
        if let Some((key, request)) = request {
            self.remember(key, &request, revision, &mut decision);
        }
        if !decision.edits.is_empty() {
            self.push(write.actor, decision.kind, decision.edits);
        }
        Ok(decision.outcome)
    }

    fn first_answer(&self, key: &[u8], request: &RequestId) -> Result<Option<Outcome>, Error> {
        let Some(bytes) = self.get(Tree::Requests, key) else { return Ok(None) };
        let answer = decode_answer(key, &bytes).map_err(fault)?;
        if answer.mac == request.mac {
            Ok(Some(answer.outcome))
        } else {
            Err(Error::RequestIdReused)
        }
    }

    fn remember(
        &self,
        key: Vec<u8>,
        request: &RequestId,
        revision: Revision,
        decision: &mut Decision,
    ) {
        let age = age_key(revision);
        let age_value = encode_age(&age, &key, self.now);
        let outcome = decision.outcome.clone();
        let answer = encode_answer(&key, &Answer { mac: request.mac, at: self.now, outcome });
        decision.edits.push(put(Tree::Requests, key, answer));
        decision.edits.push(put(Tree::Requests, age, age_value));
    }

    fn create(&mut self, new: NewUser, revision: Revision) -> Result<Decision, Error> {
        self.check_free(&new.email, None)?;
        let user = User {
            id: self.new_id(),
            email: new.email,
            name: new.name,
            status: new.status,
            attributes: new.attributes,
            created_at: self.now,
            updated_at: self.now,
            revision,
        };
        check_size(&user)?;
        let mut edits = Vec::with_capacity(3);
        if let Some(credential) = new.credential {
            let value = encode_credential(user.id, &credential);
            edits.push(put(Tree::Credentials, user.id.as_bytes().to_vec(), value));
        }
        edits.push(put_user(&user));
        edits.push(put_email(&user.email, user.id));
        Ok(Decision { kind: ChangeKind::Created(user.id), edits, outcome: Some(user) })
    }

    fn update(
        &mut self,
        id: UserId,
        expected: Option<Revision>,
        patch: Patch,
        revision: Revision,
    ) -> Result<Decision, Error> {
        let (before, _) = self.user(id, expected)?;
        let attributes = before.attributes.patched(patch.attributes);
        let mut after = User {
            email: patch.email.unwrap_or_else(|| before.email.clone()),
            name: patch.name.unwrap_or_else(|| before.name.clone()),
            status: patch.status.unwrap_or(before.status),
            attributes: attributes.map_err(|error| invalid("attributes", error))?,
            ..before.clone()
        };
        let fields = changed_fields(&before, &after);
        if fields.is_empty() {
            return Ok(Decision {
                kind: ChangeKind::Upkeep,
                edits: Vec::new(),
                outcome: Some(before),
            });
        }
        self.check_free(&after.email, Some(id))?;
        check_size(&after)?;
        after.updated_at = self.now;
        after.revision = revision;
        let mut edits = vec![put_user(&after)];
        if before.email.canonical() != after.email.canonical() {
            edits.push(put_email(&after.email, id));
            edits.push(remove(Tree::Emails, before.email.canonical().as_str().into()));
        }
        Ok(Decision { kind: ChangeKind::Updated { id, fields }, edits, outcome: Some(after) })
    }

    fn delete(&mut self, id: UserId, expected: Option<Revision>) -> Result<Decision, Error> {
        let (user, last) = self.user(id, expected)?;
        let key = id.as_bytes().to_vec();
        let mut edits = vec![remove(Tree::Emails, user.email.canonical().as_str().into())];
        if self.get(Tree::Credentials, &key).is_some() {
            edits.push(remove(Tree::Credentials, key.clone()));
        }
        edits.push(remove(Tree::Users, key));
        Ok(Decision { kind: ChangeKind::Deleted { id, last }, edits, outcome: None })
    }

    /// A user that a write is about, with its record, if it has the revision the caller expects.
    fn user(&self, id: UserId, expected: Option<Revision>) -> Result<(User, Vec<u8>), Error> {
        let record = self.get(Tree::Users, id.as_bytes()).ok_or(Error::UserNotFound)?;
        let user = decode_user(id, &record).map_err(fault)?;
        match expected {
            Some(expected) if expected != user.revision => {
                Err(Error::RevisionMismatch { current: user.revision })
            }
            Some(_) | None => Ok((user, record.to_vec())),
        }
    }

    fn check_free(&self, email: &Email, unless: Option<UserId>) -> Result<(), Error> {
        let key = email.canonical().as_str().as_bytes();
        let Some(bytes) = self.get(Tree::Emails, key) else { return Ok(()) };
        let holder = decode_id(key, &bytes).map_err(fault)?;
        if Some(holder) == unless { Ok(()) } else { Err(Error::EmailTaken) }
    }

    fn new_id(&mut self) -> UserId {
        // Both parts of a directory time are in range: it comes from the clock or from the journal.
        let seconds = self.now.micros().div_euclid(1_000_000).unsigned_abs();
        let nanos = u32::try_from(self.now.micros().rem_euclid(1_000_000) * 1000).unwrap_or(0);
        let at = uuid::Timestamp::from_unix(&*self.ids, seconds, nanos);
        UserId::new(Uuid::new_v7(at))
    }

    /// Forgets requests that are too old or too many, as a change of its own.
    fn expire_requests(&mut self) {
        // Two entries a request.
        let surplus = (self.totals.requests.count / 2).saturating_sub(REQUESTS_MAX);
        let forgotten_before = self.now.minus_seconds(REQUEST_SECONDS);
        let mut edits = Vec::new();
        if self.totals.requests.count > 0 {
            let oldest = self.keyspace.oldest_requests(EXPIRED_MAX);
            for (place, (age, request, at)) in (0..).zip(oldest) {
                if place >= surplus && at >= forgotten_before {
                    break;
                }
                edits.push(remove(Tree::Requests, request));
                edits.push(remove(Tree::Requests, age));
            }
        }
        if !edits.is_empty() {
            self.push(Actor::new("rosterd".to_owned()), ChangeKind::Upkeep, edits);
        }
    }

    fn push(&mut self, actor: Actor, kind: ChangeKind, edits: Vec<Edit>) {
        for edit in &edits {
            self.account(edit);
            self.bytes += edit.key.len() + edit.value.as_ref().map_or(0, Vec::len);
            self.pending.insert((edit.tree, edit.key.clone()), edit.value.clone());
        }
        self.revision = self.revision.next();
        self.changes.push(Change { revision: self.revision, at: self.now, actor, kind, edits });
    }

    /// Keeps count and set-hash of an authoritative tree in step with an edit.
    fn account(&mut self, edit: &Edit) {
        if self.totals.tally_mut(edit.tree).is_none() {
            return;
        }
        let hash = |value: &[u8]| entry_hash(edit.tree, &edit.key, value);
        let before = self.get(edit.tree, &edit.key).map(|value| hash(&value));
        let after = edit.value.as_deref().map(hash);
        if let Some(tally) = self.totals.tally_mut(edit.tree) {
            before.into_iter().for_each(|hash| tally.remove(hash));
            after.into_iter().for_each(|hash| tally.add(hash));
        }
    }

    fn get(&self, tree: Tree, key: &[u8]) -> Option<Found<'_>> {
        // The group is empty for most of the reads of a lone caller.
        if !self.pending.is_empty()
            && let Some(value) = self.pending.get(&(tree, key.to_vec()))
        {
            return value.as_deref().map(Found::Pending);
        }
        self.keyspace.get(tree, key).map(Found::Stored)
    }
}

fn changed_fields(before: &User, after: &User) -> Vec<String> {
    [
        ("email", before.email != after.email),
        ("name", before.name != after.name),
        ("status", before.status != after.status),
        ("attributes", before.attributes != after.attributes),
    ]
    .into_iter()
    .filter(|(_, changed)| *changed)
    .map(|(field, _)| field.to_owned())
    .collect()
}

fn put(tree: Tree, key: Vec<u8>, value: Vec<u8>) -> Edit {
    Edit { tree, key, value: Some(value) }
}

fn remove(tree: Tree, key: Vec<u8>) -> Edit {
    Edit { tree, key, value: None }
}

fn put_user(user: &User) -> Edit {
    put(Tree::Users, user.id.as_bytes().to_vec(), encode_user(user))
}

fn put_email(email: &Email, id: UserId) -> Edit {
    let key = email.canonical().as_str().as_bytes().to_vec();
    let value = encode_id(&key, id);
    put(Tree::Emails, key, value)
}

fn check_size(user: &User) -> Result<(), Error> {
    if user.fits_a_record() { Ok(()) } else { Err(invalid("attributes", Reason::RecordTooLarge)) }
}

fn invalid(field: &str, reason: impl Into<Reason>) -> Error {
    Error::Invalid(vec![Violation::new(field, reason)])
}

fn fault(error: RecordError) -> Error {
    Error::fault(error)
}
