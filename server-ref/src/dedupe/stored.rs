//! What is remembered of calls, as records of a store.
//!
//! ```text
//! key:   the key of the call; "epoch"
//! value: version u8 | ended u64, milliseconds since 1970 | kind u8 | value
//! epoch: version u8 | text
//! ```
//! Numbers are big-endian. The kinds: a call that was claimed and has no completion, and the completions. The store has the
//! checksums.

use std::sync::Arc;

use bytes::{Buf, Bytes};
use bytestring::ByteString;
use hubwire::protocol::{Encoding, Outcome, Payload};

use super::Key;
use crate::stats::now_millis;
use crate::store::{Change, StoreError, Writer};

const VERSION: u8 = 1;

/// Keys of calls have a slash.
const EPOCH: &[u8] = b"epoch";

const CLAIMED: u8 = 0;
const VOID: u8 = 1;
const JSON: u8 = 2;
const MESSAGE_PACK: u8 = 3;
const ERROR: u8 = 4;

/// What a repetition gets of a call that the end of the server cut off.
pub(super) const RESTARTED: &str =
    "The server was restarted while the call ran; whether it took effect is not known.";

/// The part of the store that belongs to the calls of one hub.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) writer: Arc<Writer>,
    name: Arc<str>,
}

/// A call that the store knew.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Remembered {
    pub(super) key: Key,
    pub(super) outcome: Outcome<Payload>,
    /// How long ago it ended, in milliseconds.
    pub(super) age: u64,
}

/// What the store had.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Restored {
    /// `None` if there was none, or the store has lost something: then it must be another one.
    pub(super) epoch: Option<String>,
    /// Calls in the order in which they ended.
    pub(super) calls: Vec<Remembered>,
}

impl Stored {
    pub(super) fn new(writer: Arc<Writer>, hub: &str) -> Self {
        Self { writer, name: format!("calls {hub}").into() }
    }

    /// Everything that the store has for the hub. Blocks.
    ///
    /// Calls that were cut off are over from now on.
    pub(super) fn restore(&self) -> Result<Restored, StoreError> {
        let loaded = self.writer.store().load(&self.name)?;
        let now = now_millis();
        let mut restored = Restored::default();
        let (mut changes, mut damaged) = (Vec::new(), loaded.set_aside);
        for (key, value) in loaded.records {
            if key == EPOCH {
                restored.epoch = read_epoch(&value);
                damaged += usize::from(restored.epoch.is_none());
                continue;
            }
            let text = String::from_utf8(key.clone()).ok().filter(|key| key.contains('/'));
            let (Some(text), Some((ended, outcome))) = (text, read(value.into())) else {
                damaged += 1;
                changes.push(Change::Delete { table: self.name.clone(), key });
                continue;
            };
            let key = Key::from_secret(&text);
            // A clock that was set back must not make it stay for ever.
            let (outcome, age) = match outcome {
                Some(outcome) => (outcome, now.saturating_sub(ended)),
                None => {
                    let outcome = Outcome::Error(RESTARTED.into());
                    changes.push(self.completed(&key, &outcome));
                    (outcome, 0)
                }
            };
            restored.calls.push(Remembered { key, outcome, age });
        }
        if damaged > 0 {
            // A call that is not known any more would run again: clients have to learn that something was forgotten.
            tracing::error!(table = &*self.name, damaged, "remembered calls are damaged; they are forgotten");
            restored.epoch = None;
        }
        restored.calls.sort_by_key(|call| std::cmp::Reverse(call.age));
        self.writer.apply(&changes).map_err(StoreError::Io)?;
        Ok(restored)
    }

    /// Blocks.
    pub(super) fn set_epoch(&self, epoch: &str) -> Result<(), StoreError> {
        let value = [&[VERSION], epoch.as_bytes()].concat();
        let change = Change::Put { table: self.name.clone(), key: EPOCH.into(), value };
        self.writer.apply(&[change]).map_err(StoreError::Io)
    }

    /// The call is about to run.
    pub(super) fn claimed(&self, key: &Key) -> Change {
        self.put(key, CLAIMED, &[])
    }

    /// The call is over.
    pub(super) fn completed(&self, key: &Key, outcome: &Outcome<Payload>) -> Change {
        match outcome {
            Outcome::Void => self.put(key, VOID, &[]),
            Outcome::Value(value) => {
                let kind = match value.encoding() {
                    Encoding::Json => JSON,
                    Encoding::MessagePack => MESSAGE_PACK,
                };
                self.put(key, kind, value.bytes())
            }
            Outcome::Error(text) => self.put(key, ERROR, text.as_bytes()),
        }
    }

    pub(super) fn forgotten(&self, key: &Key) -> Change {
        Change::Delete { table: self.name.clone(), key: key.as_secret().into() }
    }

    fn put(&self, key: &Key, kind: u8, rest: &[u8]) -> Change {
        let mut value = Vec::with_capacity(10 + rest.len());
        value.push(VERSION);
        value.extend(now_millis().to_be_bytes());
        value.push(kind);
        value.extend(rest);
        Change::Put { table: self.name.clone(), key: key.as_secret().into(), value }
    }
}

fn read_epoch(value: &[u8]) -> Option<String> {
    let (version, text) = value.split_first()?;
    let text = std::str::from_utf8(text).ok().filter(|text| *version == VERSION && !text.is_empty())?;
    Some(text.into())
}

/// When the call ended and what it came to; no outcome if it was cut off. `None` if it cannot be read.
fn read(mut value: Bytes) -> Option<(u64, Option<Outcome<Payload>>)> {
    if value.try_get_u8().ok()? != VERSION {
        return None;
    }
    let ended = value.try_get_u64().ok()?;
    let outcome = match value.try_get_u8().ok()? {
        CLAIMED => None,
        VOID => Some(Outcome::Void),
        JSON => Some(Outcome::Value(Payload::from_encoded(Encoding::Json, value).ok()?)),
        MESSAGE_PACK => Some(Outcome::Value(Payload::from_encoded(Encoding::MessagePack, value).ok()?)),
        ERROR => Some(Outcome::Error(ByteString::try_from(value).ok()?)),
        _ => return None,
    };
    Some((ended, outcome))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{DeliveryStore, MemoryStore};

    fn stored() -> (Arc<MemoryStore>, Stored) {
        let store = Arc::new(MemoryStore::new());
        (store.clone(), Stored::new(Writer::new(Arc::new(store)), "/hub"))
    }

    #[test]
    fn what_is_written_is_read() {
        let (store, stored) = stored();
        assert_eq!(stored.restore(), Ok(Restored::default()));
        stored.set_epoch("e").unwrap();
        let value = |encoding| Outcome::Value(Payload::encode(encoding, &("ä", 7)).unwrap());
        let outcomes = [
            ("a/1:u", Outcome::Void),
            ("a/2", value(Encoding::Json)),
            ("a/3", value(Encoding::MessagePack)),
            ("a/4", Outcome::Error("no".into())),
        ];
        for (key, outcome) in &outcomes {
            let change = stored.completed(&Key::from_secret(key), outcome);
            store.apply(&[stored.claimed(&Key::from_secret(key)), change]).unwrap();
        }
        store.apply(&[stored.claimed(&Key::from_secret("a/5"))]).unwrap();
        let all = [outcomes.as_slice(), &[("a/5", Outcome::Error(RESTARTED.into()))]].concat();
        // A call that was cut off stays what it is.
        for _ in 0..2 {
            let restored = stored.restore().unwrap();
            assert_eq!(restored.epoch.as_deref(), Some("e"));
            let mut calls: Vec<_> =
                restored.calls.iter().map(|call| (call.key.as_secret(), call.outcome.clone())).collect();
            calls.sort_by_key(|(key, _)| key.to_owned());
            assert_eq!(calls, all);
        }
        let forgotten: Vec<_> = all.iter().map(|(key, _)| stored.forgotten(&Key::from_secret(key))).collect();
        store.apply(&forgotten).unwrap();
        assert_eq!(stored.restore(), Ok(Restored { epoch: Some("e".into()), calls: vec![] }));
    }

    #[test]
    fn who_has_lost_a_call_has_another_epoch() {
        let (key, damaged): (_, [&[u8]; 4]) =
            (Key::from_secret("a/1"), [b"", b"\x02", b"\x01234567", b"\x0112345678\x09"]);
        for value in damaged {
            let (store, stored) = stored();
            stored.set_epoch("e").unwrap();
            store.apply(&[stored.completed(&Key::from_secret("a/2"), &Outcome::Void)]).unwrap();
            let put =
                |key: &[u8]| Change::Put { table: stored.name.clone(), key: key.into(), value: value.into() };
            store.apply(&[put(key.as_secret().as_bytes())]).unwrap();
            let restored = stored.restore().unwrap();
            assert_eq!((restored.epoch, restored.calls.len()), (None, 1));
            assert_eq!(stored.restore().unwrap().calls.len(), 1, "it is gone");
            store.apply(&[put(EPOCH)]).unwrap();
            let epoch = stored.restore().unwrap().epoch;
            assert!(epoch.is_none_or(|epoch| value[0] == VERSION && !epoch.is_empty()));
        }
    }
}
