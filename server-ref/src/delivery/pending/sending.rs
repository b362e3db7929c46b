//! How a message gets in: from the application, from the store, from the dead letters.

use bytestring::ByteString;
use hubwire::Time;

use super::Deliveries;
use super::io::{BatchId, DeadLetter, EntryId, Message, Outcome, Output, RecipientId, StoreOp, StoredEntry};
use super::recipient::{Entry, Stage};
use super::timers::Timer;

impl<P: Clone> Deliveries<P> {
    pub(super) fn send(&mut self, entry: EntryId, recipient: RecipientId, message: Message<P>) {
        let outcome = match self.objection(&recipient, &message) {
            Some(text) => Outcome::Refused(text),
            None if message.expires_at.is_some_and(|at| at <= self.now) => Outcome::Expired,
            None if message.ephemeral && !self.is_attached(&recipient) => Outcome::Disconnected,
            None => {
                self.admit(entry, recipient, message, None);
                return;
            }
        };
        match &outcome {
            Outcome::Refused(_) => self.counts.refused += 1,
            // What is pending under that id is another message, whose status is the one to be told.
            outcome => {
                self.counts.failed += 1;
                self.remember(recipient, message.id, outcome);
            }
        }
        self.output.push_back(Output::Confirmed(entry, outcome));
    }

    /// Why a message cannot be taken.
    fn objection(&self, recipient: &RecipientId, message: &Message<P>) -> Option<String> {
        let config = &self.config;
        let (mut messages, mut bytes) = (0, 0);
        if let Some(own) = self.recipients.get(recipient) {
            if own.by_message.contains_key(&message.id) {
                return Some(format!("The message '{}' is already registered.", message.id));
            }
            (messages, bytes) = (own.by_message.len(), own.bytes);
        }
        let exceeded = if messages >= config.recipient_messages {
            format!("{} messages are pending for the recipient", config.recipient_messages)
        } else if bytes.saturating_add(message.bytes) > config.recipient_bytes {
            format!("more than {} bytes would be pending for the recipient", config.recipient_bytes)
        } else if self.entries.len() >= config.messages {
            format!("{} messages are pending", config.messages)
        } else if self.bytes.saturating_add(message.bytes) > config.bytes {
            format!("more than {} bytes would be pending", config.bytes)
        } else {
            return None;
        };
        Some(format!("There is no room: {exceeded}."))
    }

    fn is_attached(&self, recipient: &RecipientId) -> bool {
        self.recipients.get(recipient).is_some_and(|own| own.link().is_some())
    }

    /// Takes a message. `revived` is what it was if it comes from the dead letters.
    fn admit(
        &mut self,
        entry: EntryId,
        recipient: RecipientId,
        message: Message<P>,
        revived: Option<(u32, String, String)>,
    ) {
        let stored = self.has_store && !message.ephemeral;
        if stored {
            let (recipient, message) = (recipient.clone(), message.clone());
            self.writes.add(StoreOp::Put(StoredEntry { entry, recipient, message }));
        }
        self.insert(entry, recipient, message, revived);
        if !stored {
            self.accept(entry);
        }
    }

    /// Puts a message in its place, as one that the store has not got yet.
    fn insert(
        &mut self,
        id: EntryId,
        recipient: RecipientId,
        message: Message<P>,
        revived: Option<(u32, String, String)>,
    ) {
        self.sent += 1;
        self.bytes += message.bytes;
        let own = self.recipients.entry(recipient.clone()).or_default();
        own.by_message.insert(message.id.clone(), id);
        own.bytes += message.bytes;
        if own.links.is_empty() && own.away_until.is_none() {
            let until = self.now + self.config.session_window;
            own.away_until = Some(until);
            self.timers.set(until, Timer::Away(recipient.clone()));
        }
        if let Some(at) = message.expires_at {
            self.timers.set(at, Timer::Expiry(id));
        }
        let entry = Entry {
            recipient,
            message,
            stage: Stage::Storing,
            order: self.sent,
            failures: 0,
            last_error: String::new(),
            delivered: false,
            revived,
        };
        self.entries.insert(id, entry);
    }

    /// The message is safe, as far as it has to be: it may be delivered.
    fn accept(&mut self, id: EntryId) {
        let Some(entry) = self.entries.get_mut(&id).filter(|entry| entry.stage == Stage::Storing) else {
            return;
        };
        entry.stage = Stage::Waiting;
        entry.revived = None;
        let turn = entry.turn(id);
        let recipient = entry.recipient.clone();
        if let Some(own) = self.recipients.get_mut(&recipient) {
            own.waiting.insert(turn);
        }
        self.output.push_back(Output::Accepted(id));
        self.ready.push(recipient);
    }

    pub(super) fn stored(&mut self, batch: BatchId, result: Result<(), String>) {
        let Some(ops) = self.writes.written(batch) else { return };
        let mut failed = false;
        for op in ops {
            match (op, &result) {
                (StoreOp::Put(stored), Ok(())) => self.accept(stored.entry),
                (StoreOp::Bury(_) | StoreOp::Delete(_), Ok(())) => {}
                (StoreOp::Put(stored), Err(error)) => self.not_stored(stored.entry, error),
                (op, Err(_)) => {
                    failed = true;
                    self.writes.again(op);
                }
            }
        }
        if failed && self.writes.is_paused() {
            self.timers.set(self.now + self.config.initial_retry_delay, Timer::Store);
        }
    }

    /// A message could not be written, so it is not taken.
    fn not_stored(&mut self, id: EntryId, error: &str) {
        let entry = self.entries.get_mut(&id).filter(|entry| entry.stage == Stage::Storing);
        let Some(entry) = entry else { return };
        let outcome = Outcome::Refused(format!("The message could not be stored: {error}."));
        match entry.revived.take() {
            None => self.discard(id, outcome),
            Some((attempts, last_error, reason)) => {
                entry.failures = attempts;
                entry.last_error = last_error;
                self.bury(id, outcome, reason);
            }
        }
    }

    pub(super) fn restore(&mut self, mut entries: Vec<StoredEntry<P>>, mut dead_letters: Vec<DeadLetter<P>>) {
        dead_letters.sort_by_key(|letter| letter.entry);
        for letter in dead_letters {
            self.keep(letter);
        }
        entries.sort_by_key(|stored| stored.entry);
        for StoredEntry { entry, recipient, message } in entries {
            // It was taken, so it counts whatever the limits are now. Only the store could have it twice.
            let own = self.recipients.get(&recipient);
            if own.is_some_and(|own| own.by_message.contains_key(&message.id)) {
                self.writes.add(StoreOp::Delete(entry));
                continue;
            }
            let expired = message.expires_at.is_some_and(|at| at <= self.now);
            self.insert(entry, recipient, message, None);
            self.accept(entry);
            if expired {
                self.expire(entry);
            }
        }
    }

    pub(super) fn requeue(&mut self, message_id: ByteString) {
        let mut count = 0;
        for place in self.dead.places(&message_id) {
            let Some(letter) = self.dead.get(place) else { continue };
            let gone = letter.message.ephemeral && !self.is_attached(&letter.recipient);
            if gone || self.objection(&letter.recipient, &letter.message).is_some() {
                continue;
            }
            let Some(letter) = self.dead.remove(place) else { continue };
            // Whoever wants it to be delivered after all wants it late as well.
            let message = Message { expires_at: None, ..letter.message };
            let before = (letter.attempts, letter.last_error, letter.reason);
            if self.has_store && message.ephemeral {
                self.writes.add(StoreOp::Delete(letter.entry));
            }
            self.admit(letter.entry, letter.recipient, message, Some(before));
            count += 1;
        }
        self.output.push_back(Output::Requeued { message_id, entries: count });
    }

    /// A dead letter has its place, and the oldest ones make room. The store knows of it already.
    pub(super) fn keep(&mut self, letter: DeadLetter<P>) {
        let (count, bytes) = (self.config.dead_letters, self.config.dead_letter_bytes);
        for entry in self.dead.add(letter, count, bytes) {
            if self.has_store {
                self.writes.add(StoreOp::Delete(entry));
            }
        }
    }

    /// The status of a message that ended is known for a while.
    pub(super) fn remember(&mut self, recipient: RecipientId, message_id: ByteString, outcome: &Outcome) {
        let until = self.now + self.config.status_window;
        self.ended.remember(until, self.config.statuses, recipient, message_id, outcome.status());
        if !self.sweeps {
            self.sweeps = true;
            self.timers.set(self.now + self.config.cleanup_interval, Timer::Sweep);
        }
    }

    pub(super) fn sweep(&mut self, now: Time) {
        self.ended.purge(now);
        self.sweeps = !self.ended.is_empty();
        if self.sweeps {
            self.timers.set(now + self.config.cleanup_interval, Timer::Sweep);
        }
    }
}
