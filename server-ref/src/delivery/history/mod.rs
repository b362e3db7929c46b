//! Streams that keep what was sent, so that clients get what they missed.
//!
//! A stream is a line of messages to the same recipients: a group, or a user. Its messages have offsets from 1 on,
//! without holes, in one *epoch*: one life of the stream. When the server has forgotten a stream, its next life has
//! another epoch, so that nobody takes a hole for the end.
//!
//! [`Streams`] decides which offset a message has, what is kept of it and for how long, and what a client gets that
//! asks for what came after a [`Position`]. After each call that may do something the driver drains [`Streams::poll`]
//! until it says [`Output::Wait`], and calls [`Input::Tick`] at that time:
//!
//! ```
//! use hubwire::Time;
//! use hubwire_server::delivery::history::{History, Output, Streams};
//!
//! // Payloads are opaque; here they are numbers.
//! let mut streams = Streams::<u32>::new(History::default(), "Vx3k".into(), false);
//! let now = Time::ZERO;
//! let before = streams.position(now, &"group:room".into());
//! let position = streams.publish(now, &"group:room".into(), "Said".into(), 7, 100)?;
//! assert_eq!(position.offset, before.offset + 1);
//! let Output::Publish { payload, .. } = streams.poll() else { panic!() };
//! assert_eq!(payload, 7);
//! let mut room = streams.room();
//! assert_eq!(streams.page(now, &before, &mut room).entries.len(), 1);
//! # Ok::<(), hubwire_server::delivery::history::Full>(())
//! ```
//!
//! With a store, a message is handed out for its recipients only when the store has it: otherwise a server that
//! restarts could use an offset twice. See [`Op`].

mod io;
mod kept;
mod storing;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

use bytestring::ByteString;
use hubwire::Time;
use hubwire::protocol::delivery::{Position, Recovery};

pub use io::{BatchId, Entry, Full, Input, Op, Output, Page, Room, StoredEntry, StoredStream};
use kept::Kept;
use storing::Storing;

/// How much a hub keeps of its streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct History {
    /// Messages of one stream.
    pub max_messages: usize,
    /// How long a message is kept.
    pub max_age: Duration,
    /// Streams at once. The one that was used least recently gives way, with everything in it.
    pub max_streams: usize,
    /// Bytes of all streams together. The oldest messages give way.
    pub max_bytes: usize,
    /// Messages that a client gets at once when it asks for what it missed.
    pub page_messages: usize,
    /// Bytes that a client gets at once when it asks for what it missed; a larger single message comes alone.
    pub page_bytes: usize,
}

impl Default for History {
    fn default() -> Self {
        Self {
            max_messages: 1_000,
            max_age: Duration::from_secs(600),
            max_streams: 10_000,
            max_bytes: 64 * 1024 * 1024,
            page_messages: 500,
            page_bytes: 256 * 1024,
        }
    }
}

/// What is kept of the streams of a hub now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct HistoryStatistics {
    /// Streams.
    pub streams: usize,
    /// Messages of all streams.
    pub messages: usize,
    /// Bytes of all streams.
    pub bytes: usize,
}

/// How long a store that failed is left alone.
const RETRY_STORE: Duration = Duration::from_secs(1);

/// What is held of each message besides its own bytes: tables and texts.
const OVERHEAD: usize = 128;

/// The streams of one hub. See the [module documentation](self).
#[derive(Debug)]
pub struct Streams<P> {
    limits: History,
    /// Begins the epochs of the streams that this instance creates.
    instance: ByteString,
    lives: u64,
    kept: Kept<P>,
    /// With a store.
    storing: Option<Storing<P>>,
    outputs: VecDeque<Output<P>>,
}

impl<P: Clone> Streams<P> {
    /// No streams yet.
    ///
    /// `instance` must be another one each time, at most 40 characters and without `/`: epochs begin with it. With
    /// `stored` there is a store, and messages wait for it.
    pub fn new(limits: History, instance: ByteString, stored: bool) -> Self {
        Self {
            limits,
            instance,
            lives: 0,
            kept: Kept::new(limits),
            storing: stored.then(Storing::default),
            outputs: VecDeque::new(),
        }
    }

    /// The limits.
    pub const fn limits(&self) -> &History {
        &self.limits
    }

    /// How much one client gets at once.
    pub const fn room(&self) -> Room {
        Room::new(self.limits.page_messages, self.limits.page_bytes)
    }

    /// A message for everybody who is subscribed to a stream. `bytes` is how much it takes of the limits.
    ///
    /// It leaves as [`Output::Publish`]: at once, or with a store when that has it.
    ///
    /// # Errors
    /// When the store is so far behind that as much waits for it as may be kept.
    pub fn publish(
        &mut self,
        now: Time,
        stream: &ByteString,
        target: ByteString,
        payload: P,
        bytes: usize,
    ) -> Result<Position, Full> {
        self.purge(now);
        let bytes = bytes + OVERHEAD;
        let full = |storing: &Storing<P>| storing.waiting_bytes() + bytes > self.limits.max_bytes;
        if self.storing.as_ref().is_some_and(full) {
            return Err(Full);
        }
        self.open(stream)?;
        let Some((epoch, offset)) = self.kept.next(stream) else { return Err(Full) };
        let position = Position { epoch, offset, stream: stream.clone() };
        let entry = Entry { position: position.clone(), target, payload };
        match &mut self.storing {
            Some(storing) => storing.append(now, entry, bytes),
            None => {
                self.outputs.push_back(Output::of(&entry, true));
                self.kept.append(now, entry, bytes);
            }
        }
        self.after(now);
        Ok(position)
    }

    /// Where a stream stands: the next message comes after that position. A stream that was not used yet begins now.
    pub fn position(&mut self, now: Time, stream: &ByteString) -> Position {
        self.purge(now);
        // Where no stream can give way, nobody can follow this one.
        let opened = self.open(stream);
        self.after(now);
        match opened {
            Ok(()) => self.kept.top(stream),
            Err(Full) => Position { epoch: self.epoch(), offset: 0, stream: stream.clone() },
        }
    }

    /// What came after a position, as much as there is room for.
    ///
    /// Nothing and [`Recovery::Lost`] if that is not known any more: the position is of another epoch, in the future,
    /// or what followed it is not kept.
    pub fn page(&mut self, now: Time, after: &Position, room: &mut Room) -> Page<P> {
        let top = self.position(now, &after.stream);
        let known = after.epoch == top.epoch && after.offset <= top.offset;
        if !known || !self.kept.follows(&after.stream, after.offset) {
            return Page { entries: Vec::new(), recovery: Recovery::Lost(top) };
        }
        let mut reached = after.offset;
        let mut entries = Vec::new();
        for (bytes, entry) in self.kept.after(&after.stream, after.offset) {
            if !room.takes(bytes) {
                break;
            }
            reached = entry.position.offset;
            entries.push(entry.clone());
        }
        let complete = reached == top.offset;
        let position = Position { offset: reached, ..top };
        let recovery = if complete { Recovery::Complete(position) } else { Recovery::More(position) };
        Page { entries, recovery }
    }

    /// Takes what happened.
    pub fn handle(&mut self, now: Time, input: Input<P>) {
        match input {
            Input::Tick => {}
            Input::Stored { batch, stored } => self.stored(now, batch, stored),
            Input::Restored(streams) => {
                for stream in streams {
                    let Position { stream: name, epoch, .. } = stream.top.clone();
                    if let (false, Some(storing)) = (self.kept.restore(stream), &mut self.storing) {
                        storing.forget(name, epoch);
                    }
                }
            }
        }
        self.purge(now);
        self.after(now);
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Output<P> {
        let oldest = self.kept.oldest().map(|at| at + self.limits.max_age);
        let retry = self.storing.as_ref().and_then(Storing::retry_at);
        let deadline = oldest.into_iter().chain(retry).min();
        self.outputs.pop_front().unwrap_or(Output::Wait(deadline))
    }

    /// Whether the store has everything.
    pub fn is_written(&self) -> bool {
        self.storing.as_ref().is_none_or(Storing::is_idle)
    }

    /// How many streams there are.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many messages are kept.
    pub fn messages(&self) -> usize {
        self.kept.messages()
    }

    /// How many bytes are kept.
    pub const fn bytes(&self) -> usize {
        self.kept.bytes()
    }

    fn epoch(&mut self) -> ByteString {
        self.lives += 1;
        format!("{}.{}", self.instance, self.lives).into()
    }

    /// Begins a stream, if there is none of that name.
    fn open(&mut self, stream: &ByteString) -> Result<(), Full> {
        if self.kept.touch(stream) {
            return Ok(());
        }
        while self.kept.len() >= self.limits.max_streams {
            let waits = |stream: &ByteString| {
                self.storing.as_ref().is_some_and(|storing| storing.has_waiting(stream))
            };
            let Some((forgotten, epoch)) = self.kept.evict_stream(waits) else { return Err(Full) };
            if let Some(storing) = &mut self.storing {
                storing.forget(forgotten, epoch);
            }
        }
        let epoch = self.epoch();
        if let Some(storing) = &mut self.storing {
            storing.open(stream.clone(), epoch.clone());
        }
        self.kept.open(stream.clone(), epoch);
        Ok(())
    }

    fn purge(&mut self, now: Time) {
        self.kept.purge(now);
    }

    /// The store says what became of a batch.
    fn stored(&mut self, now: Time, batch: BatchId, stored: bool) {
        let Some(storing) = &mut self.storing else { return };
        if !stored {
            let messages = storing.failed(batch, now + RETRY_STORE);
            return self.append_again(messages);
        }
        for (at, entry, bytes) in storing.written(batch) {
            let current = self.kept.is_epoch(&entry.position);
            self.outputs.push_back(Output::of(&entry, current));
            if current {
                self.kept.append(at, entry, bytes);
            }
        }
        self.purge(now);
    }

    /// What the store has of these messages is not known, so that their offsets must not be used again: their streams begin
    /// a new life, and they wait for the store to work.
    fn append_again(&mut self, messages: Vec<storing::Dated<P>>) {
        for (_, Entry { position, .. }, _) in &messages {
            if self.kept.is_epoch(position) {
                self.kept.forget(&position.stream);
                if let Some(storing) = &mut self.storing {
                    storing.forget(position.stream.clone(), position.epoch.clone());
                }
            }
        }
        for (at, entry, bytes) in messages {
            let stream = entry.position.stream.clone();
            let opened = self.open(&stream).is_ok();
            match (self.kept.next(&stream).filter(|_| opened), &mut self.storing) {
                (Some((epoch, offset)), Some(storing)) => {
                    let position = Position { epoch, offset, stream };
                    storing.append(at, Entry { position, ..entry }, bytes);
                }
                // No stream can give way: it is sent as one without history.
                _ => self.outputs.push_back(Output::of(&entry, false)),
            }
        }
    }

    /// Tells the store what is not kept any more, and gives it what waits.
    fn after(&mut self, now: Time) {
        let trimmed = self.kept.take_trimmed();
        let Some(storing) = &mut self.storing else { return };
        for position in trimmed {
            storing.trim(position);
        }
        if let Some((batch, ops)) = storing.next_batch(now) {
            self.outputs.push_back(Output::Store(batch, ops));
        }
    }
}
