//! Messages that are to be acknowledged: who has to get what, when it is tried again, and when it is given up.
//!
//! [`Deliveries`] is one engine for one hub, without I/O, clock and tasks: [`handle`](Deliveries::handle) what happened,
//! then [`poll`](Deliveries::poll) what is to be done until it says [`Output::Wait`].
//!
//! - A message to a recipient is delivered over its newest connection, and again over the next one, until it is
//!   acknowledged: **at least once**, in the order of priority and then of sending.
//! - A critical message that fails is tried again later, without holding up others, and becomes a dead letter in the end.
//! - Every message that is sent ends with exactly one [`Output::Confirmed`].
//! - With a store, a message is accepted when it is written, and what ended is deleted. What failed how often is not
//!   written: after a restart all attempts are there again.
//!
//! All deadlines are in one ordered set, and everything that happens to one message costs its logarithm.

mod breaker;
mod config;
mod engine;
mod io;
mod memory;
mod recipient;
mod sending;
mod timers;
mod writes;

#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};

use bytestring::ByteString;
use hubwire::Time;

pub use breaker::CircuitState;
pub use config::DeliveryConfig;
pub use io::{
    BatchId, DeadLetter, DeliveryStatistics, EntryId, Input, LinkKey, Message, Outcome, Output, RecipientId,
    Status, StoreOp, StoredEntry,
};

use breaker::Breaker;
use memory::{DeadLetters, Ended};
use recipient::{Entry, Held, Recipient};
use timers::Timers;
use writes::Writes;

/// The messages of one hub that are to be acknowledged.
#[derive(Debug)]
pub struct Deliveries<P> {
    config: DeliveryConfig,
    has_store: bool,
    now: Time,
    entries: HashMap<EntryId, Entry<P>>,
    recipients: HashMap<RecipientId, Recipient>,
    bytes: usize,
    /// Counts what is sent.
    sent: u64,
    /// Counts what is delivered.
    delivered: u64,
    timers: Timers,
    breaker: Breaker,
    held: Held,
    dead: DeadLetters<P>,
    ended: Ended,
    sweeps: bool,
    writes: Writes<P>,
    /// Recipients that may take more.
    ready: Vec<RecipientId>,
    output: VecDeque<Output<P>>,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    processed: u64,
    failed: u64,
    refused: u64,
    last_processed_at: Option<Time>,
    ignored: u64,
    retries: u64,
    resends: u64,
}

impl<P: Clone> Deliveries<P> {
    /// Without a store: what is pending is lost with the process.
    pub fn new(config: DeliveryConfig) -> Self {
        Self {
            breaker: Breaker::new(config.failure_threshold, config.open_duration),
            config,
            has_store: false,
            now: Time::ZERO,
            entries: HashMap::new(),
            recipients: HashMap::new(),
            bytes: 0,
            sent: 0,
            delivered: 0,
            timers: Timers::default(),
            held: Held::default(),
            dead: DeadLetters::default(),
            ended: Ended::default(),
            sweeps: false,
            writes: Writes::default(),
            ready: Vec::new(),
            output: VecDeque::new(),
            counts: Counts::default(),
        }
    }

    /// With a store, which is asked by [`Output::Store`].
    pub fn with_store(config: DeliveryConfig) -> Self {
        Self { has_store: true, ..Self::new(config) }
    }

    /// Its settings.
    pub const fn config(&self) -> &DeliveryConfig {
        &self.config
    }

    /// What is to be done next. Call it until it says [`Output::Wait`].
    pub fn poll(&mut self) -> Output<P> {
        if let Some(output) = self.output.pop_front() {
            return output;
        }
        match self.writes.take(self.config.store_batch) {
            Some((batch, ops)) => Output::Store(batch, ops),
            None => Output::Wait(self.timers.next()),
        }
    }

    /// What is known of a message to a recipient: while it is pending, and for a while after its end.
    pub fn status(&self, recipient: &RecipientId, message_id: &ByteString) -> Option<Status> {
        let own = self.recipients.get(recipient);
        match own.is_some_and(|own| own.by_message.contains_key(message_id)) {
            true => Some(Status::Pending),
            false => self.ended.get(self.now, recipient, message_id),
        }
    }

    /// How many connections a recipient has.
    pub fn connections(&self, recipient: &RecipientId) -> usize {
        self.recipients.get(recipient).map_or(0, |own| own.links.len())
    }

    /// What could not be delivered, the oldest first.
    pub fn dead_letters(&self) -> impl Iterator<Item = &DeadLetter<P>> {
        self.dead.iter()
    }

    /// Whether everything is written.
    pub fn is_written(&self) -> bool {
        self.writes.is_idle()
    }

    /// Lets no new message out until [`reset`](Self::reset): by hand, when it is known that nobody can take any.
    pub fn isolate(&mut self) {
        self.breaker.isolate();
    }

    /// Closes the circuit breaker. [`poll`](Self::poll) afterwards.
    pub fn reset(&mut self) {
        self.breaker.reset();
        self.release();
        self.settle();
    }

    /// What happened since the start, and what there is now.
    pub fn statistics(&self) -> DeliveryStatistics {
        DeliveryStatistics {
            pending_messages: self.entries.len(),
            pending_bytes: self.bytes,
            dead_letter_messages: self.dead.len(),
            dead_letters_dropped: self.dead.dropped(),
            processed_messages: self.counts.processed,
            failed_messages: self.counts.failed,
            refused_messages: self.counts.refused,
            last_processed_at: self.counts.last_processed_at.map(Time::as_millis),
            circuit_breaker_state: self.breaker.state() as u8,
            consecutive_failures: self.breaker.failures(),
            acknowledged: self.counts.processed,
            ignored: self.counts.ignored,
            retries: self.counts.retries,
            resends: self.counts.resends,
        }
    }
}
