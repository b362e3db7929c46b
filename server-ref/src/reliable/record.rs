//! A pending message, or a dead letter, as bytes.
//!
//! ```text
//! length of head u32 | head, JSON | length of arguments u32 | arguments, JSON | arguments, MessagePack
//! ```
//! Numbers are little-endian. The store has the checksum.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hubwire::Time;
use hubwire::protocol::{Encoding, Payload};
use serde::{Deserialize, Serialize};

use super::content::Content;
use crate::delivery::pending::{DeadLetter, EntryId, Message, RecipientId, StoreOp, StoredEntry};
use crate::store::Change;

const VERSION: u8 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    version: u8,
    recipient: String,
    id: String,
    target: String,
    inline: bool,
    priority: i32,
    critical: bool,
    ephemeral: bool,
    queued_at: u64,
    expires_at: Option<u64>,
    timeout: Option<u64>,
    dead: Option<Dead>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Dead {
    attempts: u32,
    last_error: String,
    reason: String,
}

/// What a record is.
pub(super) enum Record {
    Pending(StoredEntry<Arc<Content>>),
    Dead(DeadLetter<Arc<Content>>),
}

impl Record {
    pub(super) const fn entry(&self) -> EntryId {
        match self {
            Self::Pending(stored) => stored.entry,
            Self::Dead(letter) => letter.entry,
        }
    }
}

/// The change to the store that the engine asks for.
pub(super) fn change(table: &Arc<str>, op: &StoreOp<Arc<Content>>) -> Change {
    let (table, key) = (table.clone(), op.entry().0.to_be_bytes().to_vec());
    match op {
        StoreOp::Put(stored) => {
            Change::Put { table, key, value: encode(&stored.recipient, &stored.message, None) }
        }
        StoreOp::Bury(letter) => {
            let dead = Dead {
                attempts: letter.attempts,
                last_error: letter.last_error.clone(),
                reason: letter.reason.clone(),
            };
            Change::Put { table, key, value: encode(&letter.recipient, &letter.message, Some(dead)) }
        }
        StoreOp::Delete(_) => Change::Delete { table, key },
    }
}

fn encode(recipient: &RecipientId, message: &Message<Arc<Content>>, dead: Option<Dead>) -> Vec<u8> {
    let content = &message.payload;
    let head = Head {
        version: VERSION,
        recipient: recipient.as_secret().into(),
        id: message.id.to_string(),
        target: message.target.to_string(),
        inline: content.inline,
        priority: message.priority,
        critical: message.critical,
        ephemeral: message.ephemeral,
        queued_at: message.queued_at.as_millis(),
        expires_at: message.expires_at.map(Time::as_millis),
        timeout: message.timeout.map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)),
        dead,
    };
    // Texts, numbers and nothing else: it cannot fail, and an empty head would be seen when it is read.
    let head = serde_json::to_vec(&head).unwrap_or_default();
    let (json, message_pack) = (content.json.bytes(), content.message_pack.bytes());
    let mut out = Vec::with_capacity(8 + head.len() + json.len() + message_pack.len());
    for part in [&head[..], json] {
        out.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
        out.extend(part);
    }
    out.extend_from_slice(message_pack);
    out
}

/// What a record says, or why it cannot be read.
pub(super) fn decode(key: &[u8], value: Vec<u8>) -> Result<Record, String> {
    let entry = key.try_into().map(u64::from_be_bytes).map_err(|_| "the key is no number")?;
    let mut rest = Bytes::from(value);
    let head = part(&mut rest).ok_or("the head is cut off")?;
    let json = part(&mut rest).ok_or("the arguments are cut off")?;
    let head: Head = serde_json::from_slice(&head).map_err(|error| error.to_string())?;
    if head.version != VERSION {
        return Err(format!("it has the version {}", head.version));
    }
    let payload = |encoding, bytes| Payload::from_encoded(encoding, bytes).map_err(|error| error.to_string());
    let json = payload(Encoding::Json, json)?;
    let message_pack = payload(Encoding::MessagePack, rest)?;
    let (id, target) = (head.id.into(), head.target.into());
    let content = Arc::new(Content::from_parts(id, target, json, message_pack, head.inline));
    let message = Message {
        id: content.id.clone(),
        target: content.target.clone(),
        bytes: content.size(),
        payload: content,
        priority: head.priority,
        critical: head.critical,
        expires_at: head.expires_at.map(Time::from_millis),
        timeout: head.timeout.map(Duration::from_millis),
        queued_at: Time::from_millis(head.queued_at),
        ephemeral: head.ephemeral,
    };
    let (entry, recipient) = (EntryId(entry), RecipientId::from_secret(&head.recipient));
    Ok(match head.dead {
        None => Record::Pending(StoredEntry { entry, recipient, message }),
        Some(Dead { attempts, last_error, reason }) => {
            Record::Dead(DeadLetter { entry, recipient, message, attempts, last_error, reason })
        }
    })
}

fn part(rest: &mut Bytes) -> Option<Bytes> {
    let len = rest.get(..4)?.try_into().ok().map(u32::from_le_bytes)?;
    let len = usize::try_from(len).ok()?;
    if rest.len() - 4 < len {
        return None;
    }
    let part = rest.slice(4..4 + len);
    *rest = rest.slice(4 + len..);
    Some(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Message<Arc<Content>> {
        let content =
            Content::new("Show", &serde_json::json!({"messageId": "m", "text": "ä"}), false).unwrap();
        Message {
            id: "m".into(),
            target: "Show".into(),
            bytes: content.size(),
            payload: Arc::new(content),
            priority: -3,
            critical: true,
            expires_at: Some(Time::from_millis(7)),
            timeout: Some(Duration::from_millis(1500)),
            queued_at: Time::from_millis(5),
            ephemeral: false,
        }
    }

    fn value(op: &StoreOp<Arc<Content>>) -> (Vec<u8>, Vec<u8>) {
        match change(&"t".into(), op) {
            Change::Put { key, value, .. } => (key, value),
            Change::Delete { .. } => panic!("a deletion"),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let recipient = RecipientId::session(Some("alice"), "secret");
        let stored = StoredEntry { entry: EntryId(300), recipient: recipient.clone(), message: message() };
        let (key, bytes) = value(&StoreOp::Put(stored.clone()));
        let Ok(Record::Pending(read)) = decode(&key, bytes.clone()) else { panic!("pending") };
        assert_eq!((read.entry, &read.recipient), (stored.entry, &recipient));
        assert_eq!(read.message.payload.json, stored.message.payload.json);
        assert_eq!(read.message.payload.message_pack, stored.message.payload.message_pack);
        let plain = |message: Message<Arc<Content>>| Message {
            id: message.id,
            target: message.target,
            payload: (),
            bytes: message.bytes,
            priority: message.priority,
            critical: message.critical,
            expires_at: message.expires_at,
            timeout: message.timeout,
            queued_at: message.queued_at,
            ephemeral: message.ephemeral,
        };
        assert_eq!(plain(read.message), plain(stored.message));
        let letter = DeadLetter {
            entry: EntryId(1),
            recipient,
            message: message(),
            attempts: 4,
            last_error: "no".into(),
            reason: "Failed after 4 attempts".into(),
        };
        let (key, dead) = value(&StoreOp::Bury(letter));
        let Ok(Record::Dead(read)) = decode(&key, dead) else { panic!("dead") };
        assert_eq!((read.attempts, &*read.last_error, &*read.reason), (4, "no", "Failed after 4 attempts"));
        // Nothing that is cut off or changed in its structure is taken for a record, and nothing panics.
        for len in 0..bytes.len() {
            assert!(decode(&1_u64.to_be_bytes(), bytes[..len].to_vec()).is_err(), "{len}");
        }
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0xff;
            let _ = decode(&1_u64.to_be_bytes(), damaged);
        }
        assert!(decode(b"short", bytes).is_err());
    }
}
