//! Streams as records of a store: one for where a stream stands, one for each message.
//!
//! ```text
//! key:     length of stream u32 | stream [ | offset u64 ]
//! stream:  version u8 | epoch | top u64
//! message: version u8 | epoch | at u64 | bytes u64 | target | arguments, JSON | arguments, MessagePack
//! ```
//! Numbers are big-endian; texts and arguments have their length before them. The store has the checksums.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::{Buf, Bytes};
use bytestring::ByteString;
use hubwire::Time;
use hubwire::protocol::delivery::Position;
use hubwire::protocol::{Encoding, Payload};

use super::encoded::Arguments;
use crate::delivery::history::{Op, StoredEntry, StoredStream};
use crate::store::{Change, DeliveryStore, StoreError, parts};

const VERSION: u8 = 1;

/// What the store may have of the streams of a hub, so that it can be deleted.
#[derive(Debug)]
pub(super) struct Table {
    name: Arc<str>,
    streams: HashMap<ByteString, Known>,
    /// Of the batch that is on its way: what it makes of streams, and what was known of them before or on the way.
    changing: HashMap<ByteString, Changing>,
}

/// What the store may have of one stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Known {
    /// `None` if the store failed, so that it may be that of before or after.
    epoch: Option<ByteString>,
    offsets: Offsets,
}

/// Offsets that may be there: the first and the last one of each run, in order, with holes between the runs. There is one
/// run, unless the store failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Offsets(Vec<(u64, u64)>);

#[derive(Debug)]
struct Changing {
    after: Option<Known>,
    /// Everything that may be there if the store fails.
    seen: Offsets,
}

impl Offsets {
    fn all(&self) -> impl Iterator<Item = u64> {
        self.0.iter().flat_map(|(first, last)| *first..=*last)
    }

    fn add(&mut self, runs: impl IntoIterator<Item = (u64, u64)>) {
        self.0.extend(runs);
        self.0.sort_unstable();
        self.0.dedup_by(|next, run| {
            let touches = next.0 <= run.1.saturating_add(1);
            if touches {
                run.1 = run.1.max(next.1);
            }
            touches
        });
    }

    /// Takes away those up to an offset.
    fn take(&mut self, offset: u64) -> Self {
        let gone = self.0.iter().filter(|(first, _)| *first <= offset);
        let gone = Self(gone.map(|(first, last)| (*first, (*last).min(offset))).collect());
        self.0.retain(|(_, last)| *last > offset);
        if let Some((first, _)) = self.0.first_mut() {
            *first = (*first).max(offset.saturating_add(1));
        }
        gone
    }
}

impl Table {
    pub(super) fn new(hub: &str) -> Self {
        Self { name: format!("history {hub}").into(), streams: HashMap::new(), changing: HashMap::new() }
    }

    /// The changes that the operations are, to be made all or none. Only one batch at a time.
    pub(super) fn changes(&mut self, ops: &[Op<Arguments>]) -> Vec<Change> {
        self.changing.clear();
        let mut changes = Vec::with_capacity(ops.len() + 1);
        // The last place of each stream that got messages is enough.
        let mut tops: BTreeMap<&ByteString, (&ByteString, u64)> = BTreeMap::new();
        for op in ops {
            match op {
                Op::Open { stream, epoch } => {
                    self.clear(stream, &mut changes);
                    tops.insert(stream, (epoch, 0));
                    self.set(stream, Some(Known { epoch: Some(epoch.clone()), offsets: Offsets::default() }));
                }
                Op::Append { at, entry, bytes } => {
                    let Position { epoch, offset, stream } = &entry.position;
                    let value = message(epoch, *at, *bytes, &entry.target, &entry.payload);
                    changes.push(self.put(key(stream, Some(*offset)), value));
                    tops.insert(stream, (epoch, *offset));
                    let mut known = self.known(stream).cloned().unwrap_or_default();
                    known.epoch = Some(epoch.clone());
                    known.offsets.add([(*offset, *offset)]);
                    self.set(stream, Some(known));
                }
                Op::Trim(Position { epoch, offset, stream }) => {
                    let Some(mut known) = self.known(stream).filter(|known| known.may_be(epoch)).cloned()
                    else {
                        continue;
                    };
                    let gone = known.offsets.take(*offset);
                    self.delete(stream, &gone, &mut changes);
                    self.set(stream, Some(known));
                }
                Op::Forget { stream, epoch } => {
                    if self.known(stream).is_some_and(|known| known.may_be(epoch)) {
                        self.clear(stream, &mut changes);
                        tops.remove(stream);
                        changes.push(Change::Delete { table: self.name.clone(), key: key(stream, None) });
                        self.set(stream, None);
                    }
                }
            }
        }
        changes.extend(tops.into_iter().map(|(stream, (epoch, top))| {
            let mut value = vec![VERSION];
            parts::push(&mut value, epoch.as_bytes());
            value.extend(top.to_be_bytes());
            self.put(key(stream, None), value)
        }));
        changes
    }

    /// The store has made the changes, or failed; then it may have made them all the same.
    pub(super) fn applied(&mut self, applied: bool) {
        for (stream, changing) in std::mem::take(&mut self.changing) {
            if !applied {
                self.streams.insert(stream, Known { epoch: None, offsets: changing.seen });
            } else if let Some(known) = changing.after {
                self.streams.insert(stream, known);
            } else {
                self.streams.remove(&stream);
            }
        }
    }

    fn known(&self, stream: &ByteString) -> Option<&Known> {
        match self.changing.get(stream) {
            Some(changing) => changing.after.as_ref(),
            None => self.streams.get(stream),
        }
    }

    fn set(&mut self, stream: &ByteString, after: Option<Known>) {
        let before = || self.streams.get(stream).map(|known| known.offsets.clone()).unwrap_or_default();
        let changing =
            self.changing.entry(stream.clone()).or_insert_with(|| Changing { after: None, seen: before() });
        if let Some(known) = &after {
            changing.seen.add(known.offsets.0.iter().copied());
        }
        changing.after = after;
    }

    fn clear(&self, stream: &ByteString, changes: &mut Vec<Change>) {
        if let Some(known) = self.known(stream) {
            self.delete(stream, &known.offsets, changes);
        }
    }

    fn delete(&self, stream: &ByteString, offsets: &Offsets, changes: &mut Vec<Change>) {
        let delete = |offset| Change::Delete { table: self.name.clone(), key: key(stream, Some(offset)) };
        changes.extend(offsets.all().map(delete));
    }

    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> Change {
        Change::Put { table: self.name.clone(), key, value }
    }

    /// Everything the store has for the hub. A stream of which something is damaged or missing is dropped as a whole: it
    /// begins again with another epoch, so that its clients learn of the gap. Blocks.
    pub(super) fn restore(
        &mut self,
        store: &dyn DeliveryStore,
        now: Time,
    ) -> Result<Vec<StoredStream<Arguments>>, StoreError> {
        let loaded = store.load(&self.name)?;
        let mut found: BTreeMap<Bytes, Found> = BTreeMap::new();
        let mut damaged = Vec::new();
        for (key, value) in loaded.records {
            match split(&key) {
                Some((stream, offset)) => {
                    let found = found.entry(stream).or_default();
                    match offset {
                        Some(offset) => drop(found.messages.insert(offset, value.into())),
                        None => found.head = Some(value.into()),
                    }
                }
                None => damaged.push(Change::Delete { table: self.name.clone(), key }),
            }
        }
        let mut streams = Vec::with_capacity(found.len());
        for (name, found) in found {
            let keys: Vec<_> = found.messages.keys().copied().map(Some).chain([None]).collect();
            match found.read(&name, now) {
                Some(stream) => {
                    let first = keys.first().copied().flatten();
                    let offsets =
                        Offsets(first.map(|first| (first, stream.top.offset)).into_iter().collect());
                    let epoch = Some(stream.top.epoch.clone());
                    self.streams.insert(stream.top.stream.clone(), Known { epoch, offsets });
                    streams.push(stream);
                }
                None => {
                    damaged.extend(keys.into_iter().map(|offset| Change::Delete {
                        table: self.name.clone(),
                        key: raw_key(&name, offset),
                    }))
                }
            }
        }
        if !damaged.is_empty() || loaded.set_aside > 0 {
            tracing::error!(
                table = &*self.name,
                records = damaged.len(),
                set_aside = loaded.set_aside,
                "stored streams are damaged; they are dropped, and begin again"
            );
            store.apply(&damaged)?;
        }
        Ok(streams)
    }
}

impl Known {
    fn may_be(&self, epoch: &ByteString) -> bool {
        self.epoch.as_ref().is_none_or(|own| own == epoch)
    }
}

/// The records of one stream.
#[derive(Debug, Default)]
struct Found {
    head: Option<Bytes>,
    messages: BTreeMap<u64, Bytes>,
}

impl Found {
    /// `None` if anything is wrong with it.
    fn read(self, name: &Bytes, now: Time) -> Option<StoredStream<Arguments>> {
        let mut head = self.head?;
        if head.try_get_u8().ok()? != VERSION {
            return None;
        }
        let epoch = ByteString::from(parts::take_text(&mut head)?);
        let offset = head.try_get_u64().ok().filter(|_| head.is_empty())?;
        let stream = ByteString::try_from(name.clone()).ok()?;
        let first = offset.checked_sub(self.messages.len() as u64)?;
        let mut entries = Vec::with_capacity(self.messages.len());
        for (own, record) in self.messages {
            // Without holes, and up to the end.
            if own != first + 1 + entries.len() as u64 {
                return None;
            }
            entries.push(read_message(record, &epoch, now)?);
        }
        Some(StoredStream { top: Position { epoch, offset, stream }, entries })
    }
}

fn message(
    epoch: &ByteString,
    at: Time,
    bytes: usize,
    target: &ByteString,
    arguments: &Arguments,
) -> Vec<u8> {
    let mut value = Vec::with_capacity(64 + target.len() + arguments.len());
    value.push(VERSION);
    parts::push(&mut value, epoch.as_bytes());
    value.extend(at.as_millis().to_be_bytes());
    value.extend((bytes as u64).to_be_bytes());
    parts::push(&mut value, target.as_bytes());
    for encoding in [Encoding::Json, Encoding::MessagePack] {
        parts::push(&mut value, arguments.get(encoding).bytes());
    }
    value
}

fn read_message(mut record: Bytes, stream_epoch: &str, now: Time) -> Option<StoredEntry<Arguments>> {
    if record.try_get_u8().ok()? != VERSION || parts::take_text(&mut record)? != stream_epoch {
        return None;
    }
    // A clock that was set back must not make it stay for ever.
    let at = Time::from_millis(record.try_get_u64().ok()?).min(now);
    let bytes = usize::try_from(record.try_get_u64().ok()?).ok()?;
    let target = parts::take_text(&mut record)?.into();
    let mut payload = |encoding| Payload::from_encoded(encoding, parts::take(&mut record)?).ok();
    let payload = Arguments::from_parts(payload(Encoding::Json)?, payload(Encoding::MessagePack)?);
    // Whatever it says, it takes at least what is there.
    let bytes = bytes.max(payload.len());
    record.is_empty().then_some(StoredEntry { at, target, payload, bytes })
}

fn key(stream: &ByteString, offset: Option<u64>) -> Vec<u8> {
    raw_key(stream.as_bytes(), offset)
}

fn raw_key(stream: &[u8], offset: Option<u64>) -> Vec<u8> {
    let mut key = Vec::with_capacity(12 + stream.len());
    parts::push(&mut key, stream);
    key.extend(offset.into_iter().flat_map(u64::to_be_bytes));
    key
}

fn split(key: &[u8]) -> Option<(Bytes, Option<u64>)> {
    let mut rest = Bytes::copy_from_slice(key);
    let stream = parts::take(&mut rest)?;
    match rest.len() {
        0 => Some((stream, None)),
        8 => Some((stream, Some(rest.get_u64()))),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
