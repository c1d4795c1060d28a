//! The group under construction: decides each write against the keyspace and the group so far.
//!
//! A write that is refused leaves no trace in the group. The edits of a change stand in an order in
//! which no reader sees half of it: a new user is put before its index entry, an index entry is removed
//! before its user, and a changed email is indexed under both until the user says which is its.

use std::collections::HashMap;

use uuid::{ContextV7, Uuid};

use crate::domain::{
    Actor, Change, ChangeKind, Edit, Email, Error, NewUser, Outcome, Patch, Reason, RequestId,
    Revision, Timestamp, Totals, Tree, User, UserId, Violation, Write, WriteOp,
};
use crate::journal::{Group, Position};
use crate::keyspace::{
    Answer, Keyspace, RecordError, Value, age_key, check_value, decode_answer, decode_id,
    decode_user, encode_age, encode_answer, encode_credential, encode_id, encode_user, entry_hash,
    request_key, sound,
};

/// For how long a request is remembered, in directory time.
const REQUEST_SECONDS: i64 = 24 * 60 * 60;

/// How many requests are remembered.
const REQUESTS_MAX: u64 = 1_000_000;

/// The most requests that are forgotten with one group: twice what one group can add.
const EXPIRED_MAX: usize = 2 * GROUP_WRITES_MAX;

/// The most writes that are decided for one group. It bounds how long the first of them waits for
/// the last, refusals included.
pub(super) const GROUP_WRITES_MAX: usize = 1024;

/// What a change takes in a frame beside its keys, values, names and texts.
const CHANGE_BYTES: usize = 64;

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

    /// How many bytes the group takes in a frame so far, roughly.
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
        sound(decode_answer(key, &bytes)).to(request).map(Some)
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
            // A lookup compares the record's email, so the user's edit is the moment of change.
            edits.insert(0, put_email(&after.email, id));
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
        let user = sound(decode_user(id, &record));
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
        let holder = sound(decode_id(key, &bytes));
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
            let oldest = (0..).zip(self.keyspace.requests_by_age()).take(EXPIRED_MAX);
            for (place, (age, request, at)) in oldest {
                if place >= surplus && at >= forgotten_before {
                    break;
                }
                if self.get(Tree::Requests, &request).is_none() {
                    sound::<()>(Err(RecordError::Missing));
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
        self.bytes += CHANGE_BYTES + actor.as_str().len() + kind_bytes(&kind);
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
        let before = self.get(edit.tree, &edit.key).map(|value| {
            // A damaged value must not find its way into the sums that prove the others.
            sound(check_value(&edit.key, &value));
            hash(&value)
        });
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

/// What the meaning of a change takes in a frame.
fn kind_bytes(kind: &ChangeKind) -> usize {
    match kind {
        ChangeKind::Created(_) | ChangeKind::Upkeep => 0,
        ChangeKind::Updated { fields, .. } => fields.iter().map(String::len).sum(),
        ChangeKind::Deleted { last, .. } => last.len(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Attributes, Name, UserStatus};

    fn create(number: u128) -> Write {
        let user = NewUser {
            email: Email::parse(&format!("user{number}@example.org")).unwrap(),
            name: Name::default(),
            status: UserStatus::Active,
            attributes: Attributes::default(),
            credential: None,
        };
        let request = Some(RequestId { id: Uuid::from_u128(number), mac: [0; 32] });
        Write { actor: Actor::anonymous(), request, op: WriteOp::Create(user) }
    }

    /// Makes one group of creates at a time of day, and applies it.
    fn group(
        keyspace: &Keyspace,
        position: &mut Position,
        seconds: i64,
        numbers: &[u128],
    ) -> Group {
        let mut ids = Ids::default();
        let now = Timestamp::from_micros(seconds * 1_000_000);
        let mut draft = Draft::new(keyspace, position, now, &mut ids);
        for number in numbers {
            draft.decide(create(*number)).unwrap();
        }
        let group = draft.finish().unwrap();
        keyspace.apply(&group.changes);
        position.revision = group.changes.last().unwrap().revision;
        position.totals = group.totals;
        group
    }

    #[test]
    fn requests_are_forgotten_after_a_day_with_a_change_of_their_own() {
        let dir = tempfile::tempdir().unwrap();
        let keyspace = Keyspace::open(dir.path(), 8 << 20).unwrap();
        let mut position = Position::default();
        let day = REQUEST_SECONDS;
        group(&keyspace, &mut position, 0, &[1, 2]);
        group(&keyspace, &mut position, 10, &[3]);
        let kept = group(&keyspace, &mut position, day, &[4]);
        assert_eq!((kept.changes.len(), kept.totals.requests.count), (1, 8));
        let expiring = group(&keyspace, &mut position, day + 5, &[5]);
        assert_eq!(expiring.changes.last().unwrap().kind, ChangeKind::Upkeep);
        assert_eq!((expiring.changes.len(), expiring.totals.requests.count), (2, 6));
        assert_eq!(keyspace.verify(&position.totals), []);
        // Two and no more: the third is younger than a day.
        let remembered: Vec<_> = keyspace.requests_by_age().map(|(_, key, _)| key).collect();
        let expected = [3, 4, 5].map(|id| request_key(&Actor::anonymous(), Uuid::from_u128(id)));
        assert_eq!(remembered, expected);
    }
}
