//! What is kept, and what gives way.

use std::collections::{BTreeMap, HashMap, VecDeque};

use bytestring::ByteString;
use hubwire::Time;
use hubwire::protocol::delivery::Position;

use super::{Entry, History, StoredStream};

/// The messages that can be had again.
#[derive(Debug)]
pub(super) struct Kept<P> {
    limits: History,
    streams: HashMap<ByteString, Stream<P>>,
    /// The streams by when they were used last.
    by_use: BTreeMap<u64, ByteString>,
    /// All messages by when they came. The first one is the first of its stream.
    by_age: BTreeMap<u64, (Time, ByteString)>,
    /// Counts uses and messages, so that no two are the same.
    ticks: u64,
    bytes: usize,
    /// Up to where streams were cut, for a store.
    trimmed: HashMap<ByteString, Position>,
}

#[derive(Debug)]
struct Stream<P> {
    epoch: ByteString,
    /// The offset of its last message that was handed out, kept or not.
    top: u64,
    /// The highest offset that was given to a message; with a store that may be ahead.
    given: u64,
    used: u64,
    /// Without holes, and up to the top.
    messages: VecDeque<Message<P>>,
}

#[derive(Debug)]
struct Message<P> {
    /// Its key in `by_age`.
    tick: u64,
    bytes: usize,
    entry: Entry<P>,
}

impl<P> Kept<P> {
    pub(super) fn new(limits: History) -> Self {
        Self {
            limits,
            streams: HashMap::new(),
            by_use: BTreeMap::new(),
            by_age: BTreeMap::new(),
            ticks: 0,
            bytes: 0,
            trimmed: HashMap::new(),
        }
    }

    fn tick(&mut self) -> u64 {
        self.ticks += 1;
        self.ticks
    }

    /// Notes that a stream was used. `false` if there is none.
    pub(super) fn touch(&mut self, name: &ByteString) -> bool {
        let tick = self.tick();
        let Some(stream) = self.streams.get_mut(name) else { return false };
        let before = std::mem::replace(&mut stream.used, tick);
        if let Some(name) = self.by_use.remove(&before) {
            self.by_use.insert(tick, name);
        }
        true
    }

    pub(super) fn open(&mut self, name: ByteString, epoch: ByteString) {
        let used = self.tick();
        self.by_use.insert(used, name.clone());
        self.streams.insert(name, Stream { epoch, top: 0, given: 0, used, messages: VecDeque::new() });
    }

    /// The place of the next message.
    pub(super) fn next(&mut self, name: &ByteString) -> Option<(ByteString, u64)> {
        let stream = self.streams.get_mut(name)?;
        // A store may say that the last offset was used.
        stream.given = stream.given.checked_add(1)?;
        Some((stream.epoch.clone(), stream.given))
    }

    pub(super) fn is_epoch(&self, position: &Position) -> bool {
        self.streams.get(&position.stream).is_some_and(|stream| stream.epoch == position.epoch)
    }

    /// Where a stream stands that there is.
    pub(super) fn top(&self, name: &ByteString) -> Position {
        let stream = self.streams.get(name);
        let (epoch, offset) =
            stream.map_or_else(Default::default, |stream| (stream.epoch.clone(), stream.top));
        Position { epoch, offset, stream: name.clone() }
    }

    /// Whether what followed that offset is still there, if anything did.
    pub(super) fn follows(&self, name: &ByteString, offset: u64) -> bool {
        self.streams.get(name).is_some_and(|stream| {
            let first = stream.messages.front().map(|message| message.entry.position.offset);
            offset == stream.top || first.is_some_and(|first| first <= offset + 1)
        })
    }

    /// What came after an offset, with its bytes.
    pub(super) fn after(&self, name: &ByteString, offset: u64) -> impl Iterator<Item = (usize, &Entry<P>)> {
        let messages = self.streams.get(name).map(|stream| {
            // Without holes, so the place is known.
            let first = stream.messages.front().map_or(0, |message| message.entry.position.offset);
            let skip = usize::try_from(offset.saturating_add(1).saturating_sub(first)).unwrap_or(usize::MAX);
            stream.messages.range(skip.min(stream.messages.len())..)
        });
        messages.into_iter().flatten().map(|message| (message.bytes, &message.entry))
    }

    /// Keeps a message of a stream that there is.
    pub(super) fn append(&mut self, at: Time, entry: Entry<P>, bytes: usize) {
        let tick = self.tick();
        let name = entry.position.stream.clone();
        let Some(stream) = self.streams.get_mut(&name) else { return };
        stream.top = entry.position.offset;
        stream.given = stream.given.max(stream.top);
        stream.messages.push_back(Message { tick, bytes, entry });
        let too_many = stream.messages.len() > self.limits.max_messages;
        self.by_age.insert(tick, (at, name.clone()));
        self.bytes += bytes;
        if too_many {
            self.trim(&name);
        }
        while self.bytes > self.limits.max_bytes && self.trim_oldest() {}
    }

    /// Takes a stream over from a store. `false` if there is one already, no room, or it has more messages than
    /// offsets.
    pub(super) fn restore(&mut self, stored: StoredStream<P>) -> bool {
        let name = stored.top.stream.clone();
        let Some(before) = stored.top.offset.checked_sub(stored.entries.len() as u64) else { return false };
        if self.streams.contains_key(&name) || self.streams.len() >= self.limits.max_streams {
            return false;
        }
        self.open(name.clone(), stored.top.epoch.clone());
        for (index, entry) in stored.entries.into_iter().enumerate() {
            let position = Position { offset: before + 1 + index as u64, ..stored.top.clone() };
            let kept = Entry { position, target: entry.target, payload: entry.payload };
            self.append(entry.at, kept, entry.bytes);
        }
        if let Some(stream) = self.streams.get_mut(&name) {
            stream.top = stored.top.offset;
            stream.given = stored.top.offset;
        }
        true
    }

    /// Puts all messages in the order of their time, after streams were restored one by one.
    pub(super) fn sort_by_age(&mut self) {
        let mut all: Vec<_> = std::mem::take(&mut self.by_age).into_iter().collect();
        // Those of one stream stay in their order, whatever the clock did.
        let mut latest = HashMap::<ByteString, Time>::new();
        for (_, (at, name)) in &mut all {
            let latest = latest.entry(name.clone()).or_default();
            *at = (*at).max(*latest);
            *latest = *at;
        }
        all.sort_by_key(|(_, (at, _))| *at);
        let mut next = HashMap::<ByteString, usize>::new();
        for (_, (at, name)) in all {
            let tick = self.tick();
            let index = next.entry(name.clone()).or_default();
            let message = self.streams.get_mut(&name).and_then(|stream| stream.messages.get_mut(*index));
            *index += 1;
            if let Some(message) = message {
                message.tick = tick;
                self.by_age.insert(tick, (at, name));
            }
        }
    }

    /// Forgets messages whose time is over.
    pub(super) fn purge(&mut self, now: Time) {
        while self.oldest().is_some_and(|at| at + self.limits.max_age <= now) && self.trim_oldest() {}
    }

    /// When the oldest message came.
    pub(super) fn oldest(&self) -> Option<Time> {
        self.by_age.first_key_value().map(|(_, (at, _))| *at)
    }

    fn trim_oldest(&mut self) -> bool {
        let Some((_, (_, name))) = self.by_age.first_key_value() else { return false };
        let name = name.clone();
        self.trim(&name)
    }

    /// Forgets the first message of a stream.
    fn trim(&mut self, name: &ByteString) -> bool {
        let Some(message) = self.streams.get_mut(name).and_then(|stream| stream.messages.pop_front()) else {
            return false;
        };
        self.by_age.remove(&message.tick);
        self.bytes -= message.bytes;
        self.trimmed.insert(name.clone(), message.entry.position);
        true
    }

    /// Up to where streams were cut since the last time.
    pub(super) fn take_trimmed(&mut self) -> impl Iterator<Item = Position> + use<P> {
        std::mem::take(&mut self.trimmed).into_values()
    }

    /// Forgets the stream that was used least recently, without those that `stay`. `None` if there is none.
    pub(super) fn evict_stream(
        &mut self,
        stays: impl Fn(&ByteString) -> bool,
    ) -> Option<(ByteString, ByteString)> {
        let name = self.by_use.values().find(|name| !stays(name))?.clone();
        let epoch = self.forget(&name)?;
        Some((name, epoch))
    }

    /// Forgets a stream. Returns the epoch that is over.
    pub(super) fn forget(&mut self, name: &ByteString) -> Option<ByteString> {
        let stream = self.streams.remove(name)?;
        self.by_use.remove(&stream.used);
        self.trimmed.remove(name);
        for message in stream.messages {
            self.by_age.remove(&message.tick);
            self.bytes -= message.bytes;
        }
        Some(stream.epoch)
    }

    pub(super) fn len(&self) -> usize {
        self.streams.len()
    }

    pub(super) fn messages(&self) -> usize {
        self.by_age.len()
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }
}
