//! Calls that wait for a connection, in the order in which they will leave.
//!
//! A call is in one of these places, and in one only:
//!
//! ```text
//!             stored            sent                completed
//! storing -----------> ready ---------> in flight -------------> ending ---------> gone
//!    (durable calls)     ^------------------'    (durable calls)         deleted
//!                           connection lost
//! ```
//! Calls that are not idempotent leave the outbox when they are sent. An end is told to the application only when the
//! store has forgotten the call, and a call counts as accepted only when the store has it.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::time::Duration;

use crate::ByteString;
use crate::text::numbered;

use super::io::{BatchId, CallId, UploadId};
use super::stored::{CallKind, Priority, Sequence, StoreOp, StoredCall};
use super::table::{Names, Numbers, Table};
use super::timers::earlier;
use crate::protocol::OpaquePayload;
use crate::{Error, ErrorKind, Time};

/// What the outbox holds at most.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutboxConfig {
    /// How many calls wait at most, those included that are in flight and may have to be sent again. With 0 nothing
    /// is queued: calls fail at once while there is no connection, as with the official clients. 10,000.
    pub max_items: usize,
    /// How many bytes they take at most, about. 16 MiB.
    pub max_bytes: usize,
    /// What gives way when one of the limits is reached.
    pub when_full: FullPolicy,
    /// How many queued calls may be without completion at a time while the queue is emptied: as many round trips are
    /// saved. 256.
    pub window: usize,
}

impl OutboxConfig {
    /// Nothing waits: calls fail at once while there is no connection, as with the official clients.
    pub fn off() -> Self {
        Self { max_items: 0, ..Self::default() }
    }
}

impl Default for OutboxConfig {
    fn default() -> Self {
        Self { max_items: 10_000, max_bytes: 16 << 20, when_full: FullPolicy::default(), window: 256 }
    }
}

/// What gives way when the outbox is full. Calls of higher priority than the new one never do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FullPolicy {
    /// The new call: it ends with [`Overflow`](ErrorKind::Overflow).
    #[default]
    Reject,
    /// The oldest of the lowest priority that waits: it ends with [`Overflow`](ErrorKind::Overflow).
    DropOldest,
    /// The newest of the lowest priority that waits, so that the oldest stay.
    DropNewest,
}

/// How much waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutboxProgress {
    /// How many calls wait, those included that are in flight and may have to be sent again.
    pub depth: usize,
    /// About how many bytes they take.
    pub bytes: usize,
    /// How long the oldest has waited.
    pub oldest_age: Option<Duration>,
}

/// Where a call is in the queue: by priority, then by age.
pub(super) type Place = (Reverse<Priority>, u64);

/// A call in the outbox.
#[derive(Debug)]
pub(super) struct Entry<P> {
    pub(super) call: CallId,
    pub(super) kind: CallKind,
    pub(super) target: ByteString,
    pub(super) arguments: P,
    pub(super) uploads: Vec<UploadId>,
    pub(super) priority: Priority,
    pub(super) supersede_key: Option<ByteString>,
    pub(super) idempotent: bool,
    pub(super) durable: bool,
    pub(super) queued_at: Time,
    pub(super) expires_at: Option<Time>,
    pub(super) deadline: Option<Time>,
    /// It has waited, and counts for the window.
    pub(super) waited: bool,
    /// It was sent with a name to a server that recognises it, whose memory has this name, at that time first.
    pub(super) named_for: Option<(ByteString, Time)>,
    /// How often the server ended the connection while this call alone was in flight.
    pub(super) suspected: u8,
    /// It may have reached the server: it was in flight on a connection that was lost, or comes from a store.
    pub(super) maybe_sent: bool,
}

impl<P: OpaquePayload> Entry<P> {
    fn byte_len(&self) -> usize {
        const ENVELOPE: usize = 64;
        let key = self.supersede_key.as_ref().map_or(0, |key| key.len());
        ENVELOPE + self.target.len() + key + self.arguments.byte_len()
    }

    fn to_stored(&self) -> StoredCall<P> {
        StoredCall {
            kind: self.kind,
            target: self.target.clone(),
            arguments: self.arguments.clone(),
            priority: self.priority,
            supersede_key: self.supersede_key.clone(),
            queued_at: self.queued_at,
            expires_at: self.expires_at,
        }
    }

    /// Streams cannot be made again, named or not.
    fn may_be_named(&self) -> bool {
        self.kind != CallKind::Stream
            && self.uploads.is_empty()
            && (self.idempotent || self.kind == CallKind::Invoke)
    }

    /// When something has to be done about the call while it is queued.
    pub(super) fn earliest_deadline(&self) -> Option<Time> {
        earlier(self.expires_at, self.deadline)
    }
}

#[derive(Debug)]
struct Slot<P> {
    entry: Entry<P>,
    /// Never used for another call, also not for one that takes the place of this one.
    number: u64,
    /// Where the store has it, or will have it.
    sequence: Option<Sequence>,
    stored: bool,
    bytes: usize,
}

/// The end of a call, for the application.
pub(super) type Ended<P> = (CallId, Result<Option<P>, Error>);

/// What the store has done.
#[derive(Debug)]
pub(super) struct StoreReport<P> {
    /// Calls that are accepted now.
    pub(super) accepted: Vec<CallId>,
    /// Calls that have ended.
    pub(super) ended: Vec<Ended<P>>,
    /// Calls that could not be stored, for the application and for the timers.
    pub(super) refused: Vec<(Entry<P>, Error)>,
    /// Something has to be forgotten and could not be.
    pub(super) try_again: bool,
}

/// What had to make room, and why.
type GivenUp<P> = Vec<(Removed<P>, Error)>;

#[derive(Debug)]
pub(super) struct Outbox<P> {
    /// Waiting: for the store, or for a connection.
    queue: Table<Place, Slot<P>>,
    /// In flight, and kept to be sent again.
    in_flight: Table<Place, Slot<P>>,
    places: Numbers<CallId, Place>,
    keys: Names<Place>,
    /// By time and by the number of the place, which is no other call's.
    queued_at: Numbers<(Time, u64), ()>,
    bytes: usize,
    next: u64,
    // The store.
    ops: Vec<StoreOp<P>>,
    writing: Option<(BatchId, Vec<StoreOp<P>>)>,
    last_batch: u64,
    storing: Numbers<Sequence, Place>,
    /// Calls that have ended, until the store has forgotten them.
    ending: Table<Sequence, Ended<P>>,
    ending_calls: Numbers<CallId, ()>,
}

impl<P> Default for Outbox<P> {
    fn default() -> Self {
        Self {
            queue: Table::default(),
            in_flight: Table::default(),
            places: Numbers::default(),
            keys: Names::default(),
            queued_at: Numbers::default(),
            bytes: 0,
            next: 0,
            ops: Vec::new(),
            writing: None,
            last_batch: 0,
            storing: Numbers::default(),
            ending: Table::default(),
            ending_calls: Numbers::default(),
        }
    }
}

/// What a server remembers of named calls.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    /// The name of its memory: with another one it has forgotten.
    pub(super) epoch: ByteString,
    /// How long it remembers a call.
    pub(super) window: Duration,
}

/// What names a call to servers, with the name of the client or of the store before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct CallName {
    pub(super) number: u64,
    pub(super) durable: bool,
}

/// A call that is to be sent.
#[derive(Debug)]
pub(super) struct Departure<P> {
    pub(super) entry: Entry<P>,
    /// Where it is kept, to be sent again.
    pub(super) kept: Option<Place>,
    pub(super) name: Option<CallName>,
}

/// A call that was taken out and has not ended yet.
#[derive(Debug)]
pub(super) struct Removed<P> {
    pub(super) entry: Entry<P>,
    sequence: Option<Sequence>,
}

impl<P: OpaquePayload> Outbox<P> {
    /// Whether nothing waits: new calls need not queue up.
    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether nothing was ever put into it.
    pub(super) fn is_untouched(&self) -> bool {
        self.next == 0 && self.places.is_empty()
    }

    pub(super) fn contains(&self, call: CallId) -> bool {
        self.places.contains(call) || self.ending_calls.contains(call)
    }

    /// Whether one of the calls that wait has that upload.
    pub(super) fn contains_upload(&self, upload: UploadId) -> bool {
        // Few calls have uploads, and few of those wait.
        self.queue.any(|slot| slot.entry.uploads.contains(&upload))
    }

    pub(super) fn progress(&self, now: Time) -> OutboxProgress {
        OutboxProgress {
            depth: self.places.len(),
            bytes: self.bytes,
            oldest_age: self.queued_at.first().map(|(at, _)| now.since(at)),
        }
    }

    /// What the store held, before anything else is put in.
    pub(super) fn restore(&mut self, next: Sequence, calls: Vec<(CallId, Sequence, StoredCall<P>)>) {
        for (call, sequence, stored) in calls {
            let entry = Entry {
                call,
                kind: stored.kind,
                target: stored.target,
                arguments: stored.arguments,
                uploads: Vec::new(),
                priority: stored.priority,
                supersede_key: stored.supersede_key,
                idempotent: true,
                durable: true,
                queued_at: stored.queued_at,
                expires_at: stored.expires_at,
                deadline: None,
                waited: true,
                named_for: None,
                suspected: 0,
                maybe_sent: true,
            };
            let place = (Reverse(entry.priority), sequence.0);
            let bytes = entry.byte_len();
            let number = sequence.0;
            self.insert(place, Slot { entry, number, sequence: Some(sequence), stored: true, bytes });
            self.next = self.next.max(sequence.0.saturating_add(1));
        }
        self.next = self.next.max(next.0);
    }

    /// Puts a call at the end of its priority, or into the place of the one it supersedes. Returns what had to give
    /// way, to be ended by [`end`](Self::end).
    pub(super) fn push(
        &mut self,
        entry: Entry<P>,
        config: &OutboxConfig,
    ) -> Result<GivenUp<P>, (Box<Entry<P>>, Error)> {
        let mut given_up = Vec::new();
        let bytes = entry.byte_len();
        if bytes > config.max_bytes {
            let text = "The call takes # bytes, the outbox holds # at most.";
            let text = numbered(text, &[bytes as u64, config.max_bytes as u64]);
            return Err((Box::new(entry), Error::new(ErrorKind::Overflow, text)));
        }
        let key = entry.supersede_key.as_ref();
        let superseded = key.and_then(|key| self.keys.get(key)).copied();
        let freed = superseded.and_then(|place| self.queue.get(place)).map_or((0, 0), |slot| (1, slot.bytes));
        let Some(victims) = self.victims(config, entry.priority, bytes, freed, superseded) else {
            let (calls, max_calls) = (self.places.len() as u64, config.max_items as u64);
            let (bytes, max_bytes) = (self.bytes as u64, config.max_bytes as u64);
            let text = "The outbox is full: # of # calls, # of # bytes.";
            let text = numbered(text, &[calls, max_calls, bytes, max_bytes]);
            return Err((Box::new(entry), Error::new(ErrorKind::Overflow, text)));
        };
        for place in victims {
            if let Some(dropped) = self.remove(place) {
                let text = "Dropped from the full outbox for a newer call.";
                given_up.push((dropped, Error::new(ErrorKind::Overflow, text)));
            }
        }
        let mut place = (Reverse(entry.priority), self.next);
        if let Some(old) = superseded {
            if old.0 == place.0 {
                place = old;
            }
            if let Some(old) = self.remove(old) {
                let text = "Superseded by a newer call with the same key.";
                given_up.push((old, Error::new(ErrorKind::Cancelled, text)));
            }
        }
        let number = self.next;
        let sequence = entry.durable.then_some(Sequence(number));
        self.next = self.next.saturating_add(1);
        if let Some(sequence) = sequence {
            self.ops.push(StoreOp::Put(sequence, entry.to_stored()));
            self.storing.insert(sequence, place);
        }
        self.insert(place, Slot { stored: sequence.is_none(), entry, number, sequence, bytes });
        Ok(given_up)
    }

    /// What must give way for so many bytes more; `None` when that is the new call itself.
    fn victims(
        &self,
        config: &OutboxConfig,
        priority: Priority,
        bytes: usize,
        freed: (usize, usize),
        superseded: Option<Place>,
    ) -> Option<Vec<Place>> {
        let mut items = (self.places.len() + 1).saturating_sub(freed.0);
        let mut total = (self.bytes + bytes).saturating_sub(freed.1);
        let mut victims = Vec::new();
        let mut last = None;
        while items > config.max_items || total > config.max_bytes {
            let (place, slot) = self.candidate(priority, config.when_full, last)?;
            last = Some(place);
            if last != superseded {
                items -= 1;
                total = total.saturating_sub(slot.bytes);
                victims.push(place);
            }
        }
        Some(victims)
    }

    /// The call that gives way next to one of that priority, after that one.
    fn candidate(
        &self,
        priority: Priority,
        policy: FullPolicy,
        last: Option<Place>,
    ) -> Option<(Place, &Slot<P>)> {
        let found = match policy {
            FullPolicy::Reject => None,
            FullPolicy::DropNewest => self.queue.before(last),
            FullPolicy::DropOldest => {
                let mut level = last.map_or(Priority::Low, |(Reverse(level), _)| level);
                let mut last = last;
                loop {
                    let next = match last.take() {
                        Some(last) => self.queue.after(last),
                        None => self.queue.from((Reverse(level), 0)),
                    };
                    match next {
                        Some(((Reverse(found), _), _)) if found == level => break next,
                        _ => level = *Priority::ALL.get(level as usize + 1)?,
                    }
                }
            }
        };
        found.filter(|((Reverse(found), _), _)| *found <= priority)
    }

    fn insert(&mut self, place: Place, slot: Slot<P>) {
        self.places.insert(slot.entry.call, place);
        if let Some(key) = &slot.entry.supersede_key {
            self.keys.insert(key.clone(), place);
        }
        self.queued_at.insert((slot.entry.queued_at, place.1), ());
        self.bytes += slot.bytes;
        self.queue.insert(place, slot);
    }

    /// Takes a call out for good. Its end is to be told through [`end`](Self::end).
    fn remove(&mut self, place: Place) -> Option<Removed<P>> {
        let slot = self.queue.remove(place).or_else(|| self.in_flight.remove(place))?;
        self.unlink(place, &slot);
        if let Some(sequence) = slot.sequence {
            self.storing.remove(sequence);
        }
        Some(Removed { entry: slot.entry, sequence: slot.sequence })
    }

    fn unlink(&mut self, place: Place, slot: &Slot<P>) {
        self.places.remove(slot.entry.call);
        self.forget_key(place, &slot.entry);
        self.queued_at.remove((slot.entry.queued_at, place.1));
        self.bytes -= slot.bytes;
    }

    /// A key leads to a call only while that is queued.
    fn forget_key(&mut self, place: Place, entry: &Entry<P>) {
        if let Some(key) = &entry.supersede_key
            && self.keys.get(key) == Some(&place)
        {
            self.keys.remove(key);
        }
    }

    /// How a call that was taken out has ended: to be told at once, or when the store has forgotten it.
    pub(super) fn end(&mut self, removed: Removed<P>, result: Result<Option<P>, Error>) -> Option<Ended<P>> {
        let ended = (removed.entry.call, result);
        let Some(sequence) = removed.sequence else { return Some(ended) };
        self.ops.push(StoreOp::Delete(sequence));
        self.ending_calls.insert(ended.0, ());
        self.ending.insert(sequence, ended);
        None
    }

    /// The next call to send, if the first in the queue is stored.
    pub(super) fn first(&self) -> Option<&Entry<P>> {
        let (_, slot) = self.queue.first()?;
        slot.stored.then_some(&slot.entry)
    }

    /// Takes the [first](Self::first) call. An idempotent one stays, in flight, and so does one that can be named to a
    /// server that remembers calls; the other is gone.
    pub(super) fn take_next(&mut self, memory: Option<&Memory>, now: Time) -> Option<Departure<P>> {
        self.queue.first().filter(|(_, slot)| slot.stored)?;
        let (place, mut slot) = self.queue.pop_first()?;
        let memory = memory.filter(|_| slot.entry.may_be_named());
        if !slot.entry.idempotent && memory.is_none() {
            self.unlink(place, &slot);
            return Some(Departure { entry: slot.entry, kept: None, name: None });
        }
        slot.entry.named_for = memory.map(|memory| match slot.entry.named_for.take() {
            Some((epoch, since)) if epoch == memory.epoch => (epoch, since),
            _ => (memory.epoch.clone(), now),
        });
        let name = memory.map(|_| CallName { number: slot.number, durable: slot.sequence.is_some() });
        self.forget_key(place, &slot.entry);
        let copy = Entry {
            target: slot.entry.target.clone(),
            arguments: slot.entry.arguments.clone(),
            uploads: slot.entry.uploads.clone(),
            supersede_key: None,
            named_for: None,
            ..slot.entry
        };
        self.in_flight.insert(place, slot);
        Some(Departure { entry: copy, kept: Some(place), name })
    }

    /// Takes out what waits and must not be sent to a server that does not remember it: it has another memory than the
    /// one that may have run it, or that was too long ago.
    pub(super) fn take_forgotten(&mut self, memory: Option<&Memory>, now: Time) -> Vec<Removed<P>> {
        let is_remembered = |entry: &Entry<P>| match (&entry.named_for, memory) {
            (Some((epoch, since)), Some(memory)) => {
                *epoch == memory.epoch && now.since(*since) < memory.window
            }
            _ => false,
        };
        let is_forgotten =
            |slot: &Slot<P>| !slot.entry.idempotent && slot.entry.maybe_sent && !is_remembered(&slot.entry);
        let places = self.queue.find(is_forgotten);
        self.remove_all(&places)
    }

    /// A call could not be sent at once.
    pub(super) fn mark_waited(&mut self, call: CallId) {
        if let Some(slot) = self.places.get(call).and_then(|place| self.queue.get_mut(place)) {
            slot.entry.waited = true;
        }
    }

    /// A call in flight was completed, or taken back.
    pub(super) fn finish(&mut self, place: Place) -> Option<Removed<P>> {
        self.remove(place)
    }

    /// How many calls are in flight and kept.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// The server has ended the connection while this one call was in flight. Returns it when it has done so `limit`
    /// times.
    pub(super) fn suspect(&mut self, limit: u8) -> Option<Removed<P>> {
        let (place, _) = self.in_flight.first()?;
        let slot = self.in_flight.get_mut(place)?;
        slot.entry.suspected = slot.entry.suspected.saturating_add(1);
        if slot.entry.suspected < limit { None } else { self.remove(place) }
    }

    /// The connection is lost: what was in flight is to be sent again, before what came after it. Returns those calls.
    pub(super) fn requeue(&mut self) -> Vec<(CallId, Option<Time>)> {
        let mut back = Vec::new();
        while let Some((place, mut slot)) = self.in_flight.pop_first() {
            slot.entry.maybe_sent = true;
            slot.entry.waited = true;
            if let Some(key) = &slot.entry.supersede_key
                // What superseded it meanwhile stays the newest.
                && self.keys.get(key).is_none()
            {
                self.keys.insert(key.clone(), place);
            }
            back.push((slot.entry.call, slot.entry.earliest_deadline()));
            self.queue.insert(place, slot);
        }
        back
    }

    /// Takes a call back that waits.
    pub(super) fn cancel(&mut self, call: CallId) -> Option<Removed<P>> {
        let place = self.places.get(call)?;
        if !self.queue.contains(place) {
            return None;
        }
        self.remove(place)
    }

    /// The call, if it waits.
    pub(super) fn waiting(&self, call: CallId) -> Option<&Entry<P>> {
        self.queue.get(self.places.get(call)?).map(|slot| &slot.entry)
    }

    /// Takes out everything that no store keeps.
    pub(super) fn take_volatile(&mut self) -> Vec<Removed<P>> {
        let places = self.queue.find(|slot| slot.sequence.is_none());
        self.remove_all(&places)
    }

    fn remove_all(&mut self, places: &[Place]) -> Vec<Removed<P>> {
        let mut removed = Vec::new();
        for place in places {
            if let Some(one) = self.remove(*place) {
                removed.push(one);
            }
        }
        removed
    }

    /// What is to be written now. One batch at a time: what comes meanwhile makes the next one.
    pub(super) fn take_batch(&mut self) -> Option<(BatchId, Vec<StoreOp<P>>)> {
        if self.writing.is_some() || self.ops.is_empty() {
            return None;
        }
        self.last_batch += 1;
        let batch = (BatchId(self.last_batch), core::mem::take(&mut self.ops));
        self.writing = Some(batch.clone());
        Some(batch)
    }

    /// The store has written a batch, all of it or nothing.
    pub(super) fn stored(&mut self, id: BatchId, result: Result<(), Error>) -> StoreReport<P> {
        let mut report =
            StoreReport { accepted: Vec::new(), ended: Vec::new(), refused: Vec::new(), try_again: false };
        let Some((_, batch)) = self.writing.take_if(|(writing, _)| *writing == id) else { return report };
        let mut again = Vec::new();
        for op in batch {
            match (op, &result) {
                (StoreOp::Put(sequence, _), Ok(())) => {
                    let place = self.storing.remove(sequence);
                    if let Some(slot) = place.and_then(|place| self.queue.get_mut(place)) {
                        slot.stored = true;
                        report.accepted.push(slot.entry.call);
                    }
                }
                (StoreOp::Put(sequence, _), Err(error)) => {
                    let Some(place) = self.storing.remove(sequence) else { continue };
                    if let Some(slot) = self.queue.remove(place) {
                        self.unlink(place, &slot);
                        report.refused.push((slot.entry, error.clone()));
                    }
                }
                (StoreOp::Delete(sequence), Ok(())) => {
                    if let Some(ended) = self.ending.remove(sequence) {
                        self.ending_calls.remove(ended.0);
                        report.ended.push(ended);
                    }
                }
                // What has ended must not come back: the end is told when that is sure.
                (op @ StoreOp::Delete(_), Err(_)) => again.push(op),
            }
        }
        if !again.is_empty() {
            report.try_again = true;
            again.append(&mut self.ops);
            self.ops = again;
        }
        report
    }
}
