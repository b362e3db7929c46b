//! What becomes of a message that is in.

use std::collections::BTreeSet;

use bytestring::ByteString;
use hubwire::Time;

use super::Deliveries;
use super::breaker::CircuitState;
use super::io::{DeadLetter, EntryId, Input, LinkKey, Outcome, Output, RecipientId, StoreOp};
use super::recipient::Stage;
use super::timers::Timer;

impl<P: Clone> Deliveries<P> {
    /// Takes in what happened. Time never goes back.
    pub fn handle(&mut self, now: Time, input: Input<P>) {
        self.now = self.now.max(now);
        self.ended.purge(self.now);
        while let Some(timer) = self.timers.due(self.now) {
            self.fire(timer);
        }
        match input {
            Input::Send { entry, recipient, message } => self.send(entry, recipient, message),
            Input::Attached { recipient, link } => self.attach(recipient, link),
            Input::Detached { recipient, link } => self.detach(&recipient, link),
            Input::Acknowledged { recipient, message_id, .. } => self.acknowledge(&recipient, &message_id),
            Input::Nacked { recipient, message_id, reason, .. } => self.nack(&recipient, &message_id, reason),
            Input::Requeue { message_id } => self.requeue(message_id),
            Input::Stored(batch, result) => self.stored(batch, result),
            Input::Restored { entries, dead_letters } => self.restore(entries, dead_letters),
            Input::Forget { recipient } => self.give_up(&recipient),
            Input::Tick => {}
        }
        self.settle();
    }

    fn fire(&mut self, timer: Timer) {
        match timer {
            Timer::Acknowledgement(id) => self.failed(id, Outcome::TimedOut),
            Timer::Retry(id) => {
                let Some(entry) = self.entries.get_mut(&id) else { return };
                entry.stage = Stage::Waiting;
                let (turn, recipient) = (entry.turn(id), entry.recipient.clone());
                if let Some(own) = self.recipients.get_mut(&recipient) {
                    own.waiting.insert(turn);
                }
                self.ready.push(recipient);
            }
            Timer::Expiry(id) => {
                let stage = self.entries.get(&id).map(|entry| entry.stage);
                // What was delivered in time may be acknowledged later.
                if !matches!(stage, None | Some(Stage::InFlight { overdue: Some(_), .. })) {
                    self.expire(id);
                }
            }
            Timer::Away(recipient) => self.give_up(&recipient),
            Timer::Breaker => self.breaker.try_again(self.now),
            Timer::Store => self.writes.resume(),
            Timer::Sweep => self.sweep(self.now),
        }
    }

    /// Delivers what may be delivered now.
    pub(super) fn settle(&mut self) {
        loop {
            while let Some(recipient) = self.ready.pop() {
                self.pump(&recipient);
            }
            // Half open: somebody is tried, whose turn it is.
            let tries = self.breaker.state() == CircuitState::HalfOpen && self.breaker.permits();
            match tries.then(|| self.held.pop()).flatten() {
                Some(recipient) => self.ready.push(recipient),
                None => return,
            }
        }
    }

    /// The breaker holds nobody back any more.
    pub(super) fn release(&mut self) {
        while let Some(recipient) = self.held.pop() {
            self.ready.push(recipient);
        }
    }

    /// Fills the window of a recipient.
    fn pump(&mut self, recipient: &RecipientId) {
        while let Some(own) = self.recipients.get_mut(recipient)
            && let Some(link) = own.link()
            && own.in_flight.len() < self.config.window
            && let Some(turn) = own.waiting.first().copied()
            && let Some(bytes) = self.entries.get(&turn.2).map(|entry| entry.message.bytes)
            && (own.in_flight.is_empty() || own.in_flight_bytes + bytes <= self.config.window_bytes)
        {
            if !self.breaker.permits() {
                self.held.push(recipient);
                return;
            }
            let (_, _, id) = turn;
            own.waiting.remove(&turn);
            self.delivered += 1;
            own.in_flight.insert(self.delivered, id);
            own.in_flight_bytes += bytes;
            self.breaker.left(id);
            self.deliver(id, link, self.delivered, false);
        }
    }

    fn deliver(&mut self, id: EntryId, link: LinkKey, place: u64, repeated: bool) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let overdue = self.now + entry.message.timeout.unwrap_or(self.config.message_timeout);
        entry.stage = Stage::InFlight { place, overdue: Some(overdue) };
        entry.delivered = true;
        self.timers.set(overdue, Timer::Acknowledgement(id));
        self.counts.retries += u64::from(!repeated && entry.failures > 0);
        self.counts.resends += u64::from(repeated);
        self.output.push_back(Output::Deliver {
            link,
            recipient: entry.recipient.clone(),
            entry: id,
            message: entry.message.clone(),
            retry_count: entry.failures,
            repeated,
        });
    }

    fn attach(&mut self, recipient: RecipientId, link: LinkKey) {
        let own = self.recipients.entry(recipient.clone()).or_default();
        own.links.retain(|other| *other != link);
        own.links.push(link);
        if let Some(until) = own.away_until.take() {
            self.timers.clear(until, Timer::Away(recipient.clone()));
        }
        if own.overdue.is_empty() {
            self.resend(recipient, link);
        } else {
            self.line_up_again(recipient);
        }
    }

    /// The connection before was silent for so long that acknowledgements are overdue: it was dead, and that is no fault of
    /// the messages. Everything that may not have arrived is delivered again, in the order in which it was sent.
    fn line_up_again(&mut self, recipient: RecipientId) {
        let Some(own) = self.recipients.get_mut(&recipient) else { return };
        own.in_flight_bytes = 0;
        let in_flight = std::mem::take(&mut own.in_flight).into_values();
        let overdue = std::mem::take(&mut own.overdue);
        let all: BTreeSet<_> = in_flight.chain(overdue.iter().copied()).collect();
        for id in all {
            self.stop_clock(id);
            if self.breaker.is_trial(id) {
                self.breaker.void();
            }
            let Some(entry) = self.entries.get_mut(&id) else { continue };
            if overdue.contains(&id) {
                entry.failures = 0;
            }
            if let Stage::Retrying(at) = std::mem::replace(&mut entry.stage, Stage::Waiting) {
                self.timers.clear(at, Timer::Retry(id));
            }
            let turn = entry.turn(id);
            if let Some(own) = self.recipients.get_mut(&recipient) {
                own.waiting.insert(turn);
            }
            self.counts.resends += 1;
        }
        self.ready.push(recipient);
    }

    /// What was in flight goes over another connection, before everything that waits.
    fn resend(&mut self, recipient: RecipientId, link: LinkKey) {
        let Some(own) = self.recipients.get(&recipient) else { return };
        let in_flight: Vec<_> = own.in_flight.iter().map(|(place, id)| (*place, *id)).collect();
        for (place, id) in in_flight {
            self.stop_clock(id);
            self.deliver(id, link, place, true);
        }
        self.ready.push(recipient);
    }

    /// Its acknowledgement is not waited for any more.
    fn stop_clock(&mut self, id: EntryId) {
        if let Some(entry) = self.entries.get_mut(&id)
            && let Stage::InFlight { overdue, .. } = &mut entry.stage
            && let Some(at) = overdue.take()
        {
            self.timers.clear(at, Timer::Acknowledgement(id));
        }
    }

    fn detach(&mut self, recipient: &RecipientId, link: LinkKey) {
        let Some(own) = self.recipients.get_mut(recipient) else { return };
        let Some(at) = own.links.iter().position(|other| *other == link) else { return };
        let was_current = at + 1 == own.links.len();
        own.links.remove(at);
        if !was_current {
            return;
        }
        let next = own.link();
        let in_flight: Vec<_> = own.in_flight.values().copied().collect();
        for id in &in_flight {
            self.stop_clock(*id);
            if self.breaker.is_trial(*id) {
                self.breaker.void();
            }
        }
        if let Some(next) = next {
            self.resend(recipient.clone(), next);
            return;
        }
        for id in self.entries_of(recipient) {
            let Some(entry) = self.entries.get(&id) else { continue };
            if entry.message.ephemeral {
                self.discard(id, Outcome::Disconnected);
            } else if entry.message.expires_at.is_some_and(|at| at <= self.now) {
                self.expire(id);
            }
        }
        let Some(own) = self.recipients.get_mut(recipient) else { return };
        if own.is_blank() {
            self.recipients.remove(recipient);
            self.held.remove(recipient);
        } else {
            let until = self.now + self.config.session_window;
            own.away_until = Some(until);
            self.timers.set(until, Timer::Away(recipient.clone()));
        }
    }

    /// In the order of sending.
    fn entries_of(&self, recipient: &RecipientId) -> Vec<EntryId> {
        let Some(own) = self.recipients.get(recipient) else { return Vec::new() };
        let mut all: Vec<_> = own.by_message.values().copied().collect();
        all.sort_unstable_by_key(|id| self.entries.get(id).map(|entry| entry.order));
        all
    }

    /// The recipient does not come back.
    fn give_up(&mut self, recipient: &RecipientId) {
        for id in self.entries_of(recipient) {
            let critical = self.entries.get(&id).is_some_and(|entry| entry.message.critical);
            match critical {
                true => self.bury(id, Outcome::Disconnected, DISCONNECTED.into()),
                false => self.discard(id, Outcome::Disconnected),
            }
        }
    }

    fn acknowledge(&mut self, recipient: &RecipientId, message_id: &ByteString) {
        let Some(id) = self.awaited(recipient, message_id) else {
            self.counts.ignored += 1;
            return;
        };
        self.counts.last_processed_at = Some(self.now);
        if self.breaker.success() {
            self.release();
        }
        self.discard(id, Outcome::Acknowledged);
    }

    fn nack(&mut self, recipient: &RecipientId, message_id: &ByteString, reason: ByteString) {
        let id = self.awaited(recipient, message_id).filter(|id| {
            // One that failed already waits for its next attempt: the failure is counted.
            self.entries.get(id).is_some_and(|entry| matches!(entry.stage, Stage::InFlight { .. }))
        });
        match id {
            Some(id) => self.failed(id, Outcome::Nacked(reason)),
            None => self.counts.ignored += 1,
        }
    }

    /// The message with that id that the recipient may have seen.
    fn awaited(&self, recipient: &RecipientId, message_id: &ByteString) -> Option<EntryId> {
        let id = *self.recipients.get(recipient)?.by_message.get(message_id)?;
        self.entries.get(&id).filter(|entry| entry.delivered).map(|_| id)
    }

    /// A delivery came to nothing.
    fn failed(&mut self, id: EntryId, outcome: Outcome) {
        self.stop_clock(id);
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if let Some(until) = self.breaker.failure(self.now, &entry.recipient, id) {
            self.timers.set(until, Timer::Breaker);
        }
        entry.last_error = match &outcome {
            Outcome::Nacked(reason) => reason.to_string(),
            _ => "No acknowledgement in time".into(),
        };
        let attempts = entry.failures.saturating_add(1);
        if let Some(own) = self.recipients.get_mut(&entry.recipient) {
            match outcome {
                Outcome::TimedOut => own.overdue.insert(id),
                _ => own.overdue.remove(&id),
            };
        }
        if !entry.message.critical {
            self.discard(id, outcome);
        } else if entry.failures >= self.config.max_retry_attempts {
            self.bury(id, outcome, format!("Failed after {attempts} attempts"));
        } else if entry.message.expires_at.is_some_and(|at| at <= self.now) {
            self.expire(id);
        } else {
            let at = self.now + self.config.retry_delay(attempts);
            entry.failures = attempts;
            let Stage::InFlight { place, .. } = std::mem::replace(&mut entry.stage, Stage::Retrying(at))
            else {
                return;
            };
            self.timers.set(at, Timer::Retry(id));
            if let Some(own) = self.recipients.get_mut(&entry.recipient) {
                own.in_flight.remove(&place);
                own.in_flight_bytes -= entry.message.bytes;
            }
            self.ready.push(entry.recipient.clone());
        }
    }

    pub(super) fn expire(&mut self, id: EntryId) {
        self.bury(id, Outcome::Expired, "Message expired".into());
    }

    /// The end of a message, without a trace but its status.
    pub(super) fn discard(&mut self, id: EntryId, outcome: Outcome) {
        self.end(id, outcome, None);
    }

    /// The end of a message, which is kept as a dead letter.
    pub(super) fn bury(&mut self, id: EntryId, outcome: Outcome, reason: String) {
        self.end(id, outcome, Some(reason));
    }

    fn end(&mut self, id: EntryId, outcome: Outcome, reason: Option<String>) {
        let Some(entry) = self.entries.remove(&id) else { return };
        let recipient = entry.recipient.clone();
        match entry.stage {
            Stage::Retrying(at) => self.timers.clear(at, Timer::Retry(id)),
            Stage::InFlight { overdue: Some(at), .. } => self.timers.clear(at, Timer::Acknowledgement(id)),
            Stage::InFlight { .. } | Stage::Waiting | Stage::Storing => {}
        }
        if let Some(at) = entry.message.expires_at {
            self.timers.clear(at, Timer::Expiry(id));
        }
        if self.breaker.is_trial(id) {
            self.breaker.void();
        }
        self.bytes -= entry.message.bytes;
        if let Some(own) = self.recipients.get_mut(&recipient) {
            own.by_message.remove(&entry.message.id);
            own.overdue.remove(&id);
            own.bytes -= entry.message.bytes;
            match entry.stage {
                Stage::InFlight { place, .. } => {
                    own.in_flight.remove(&place);
                    own.in_flight_bytes -= entry.message.bytes;
                }
                Stage::Waiting => drop(own.waiting.remove(&entry.turn(id))),
                Stage::Storing | Stage::Retrying(_) => {}
            }
            if own.is_blank() {
                if let Some(until) = own.away_until {
                    self.timers.clear(until, Timer::Away(recipient.clone()));
                }
                self.recipients.remove(&recipient);
                self.held.remove(&recipient);
            }
        }
        match outcome {
            Outcome::Acknowledged => self.counts.processed += 1,
            Outcome::Refused(_) => self.counts.refused += 1,
            _ => self.counts.failed += 1,
        }
        self.remember(recipient.clone(), entry.message.id.clone(), &outcome);
        let stored = self.has_store && !entry.message.ephemeral;
        match reason {
            Some(reason) => {
                let letter = DeadLetter {
                    entry: id,
                    recipient: recipient.clone(),
                    // How often it was delivered: as often as it failed, and perhaps once more.
                    attempts: entry.failures + u32::from(matches!(entry.stage, Stage::InFlight { .. })),
                    last_error: if entry.last_error.is_empty() { reason.clone() } else { entry.last_error },
                    reason,
                    message: entry.message,
                };
                if self.has_store {
                    self.writes.add(StoreOp::Bury(letter.clone()));
                }
                self.keep(letter);
            }
            // Of what came from the dead letters there is a record.
            None if stored && entry.stage == Stage::Storing && entry.revived.is_none() => {
                self.writes.withdraw(id);
            }
            None if stored => self.writes.add(StoreOp::Delete(id)),
            None => {}
        }
        self.output.push_back(Output::Confirmed(id, outcome));
        self.ready.push(recipient);
    }
}

const DISCONNECTED: &str = "Connection disconnected";
