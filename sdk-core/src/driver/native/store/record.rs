//! A durable call as bytes.
//!
//! ```text
//! version u8 | kind u8 | priority u8 | encoding u8 | flags u8 | queued_at u64 | [expires_at u64]
//! | [supersede_key] | target | arguments | crc32 u32
//! ```
//! Numbers are little-endian; texts and arguments have their length before them, as u32. The checksum also covers the
//! call's sequence, so a record under another key is not taken for its own. One call has exactly one form.

use std::fmt;

use crate::ByteString;
use bytes::Bytes;

use crate::Time;
use crate::client::{CallKind, Priority, Sequence, StoredCall};
use crate::protocol::{Encoding, Payload};

const VERSION: u8 = 1;

const HAS_KEY: u8 = 1;
const HAS_EXPIRY: u8 = 2;

/// Why bytes are no record, or a call cannot become one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RecordError(String);

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn error(text: impl Into<String>) -> RecordError {
    RecordError(text.into())
}

pub(super) fn encode(sequence: Sequence, call: &StoredCall<Payload>) -> Result<Vec<u8>, RecordError> {
    let kind = match call.kind {
        CallKind::Send => 0,
        CallKind::Invoke => 1,
        CallKind::Stream => return Err(error("a call with a stream of results cannot be kept")),
    };
    let priority = match call.priority {
        Priority::Low => 0,
        Priority::Normal => 1,
        Priority::High => 2,
        Priority::Critical => 3,
    };
    let encoding = match call.arguments.encoding() {
        Encoding::Json => 0,
        Encoding::MessagePack => 1,
    };
    let has_key = if call.supersede_key.is_some() { HAS_KEY } else { 0 };
    let has_expiry = if call.expires_at.is_some() { HAS_EXPIRY } else { 0 };

    let mut out = Vec::with_capacity(64 + call.target.len() + call.arguments.bytes().len());
    out.extend([VERSION, kind, priority, encoding, has_key | has_expiry]);
    out.extend(call.queued_at.as_millis().to_le_bytes());
    if let Some(expires_at) = call.expires_at {
        out.extend(expires_at.as_millis().to_le_bytes());
    }
    if let Some(key) = &call.supersede_key {
        put(&mut out, key.as_bytes())?;
    }
    put(&mut out, call.target.as_bytes())?;
    put(&mut out, call.arguments.bytes())?;
    let checksum = checksum(sequence, &out);
    out.extend(checksum.to_le_bytes());
    Ok(out)
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), RecordError> {
    let len = u32::try_from(bytes.len()).map_err(|_| error("a call of 4 GiB or more cannot be kept"))?;
    out.extend(len.to_le_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}

pub(super) fn decode(sequence: Sequence, record: &[u8]) -> Result<StoredCall<Payload>, RecordError> {
    // Before the checksum: a later version may have another one.
    match record.first() {
        Some(&VERSION) => {}
        Some(version) => return Err(error(format!("its version {version} is unknown"))),
        None => return Err(error("it is empty")),
    }
    let (body, expected) = record.split_last_chunk::<4>().ok_or_else(cut_off)?;
    if checksum(sequence, body) != u32::from_le_bytes(*expected) {
        return Err(error("its checksum is wrong"));
    }

    let mut rest = body;
    let [_, kind, priority, encoding, flags] = take(&mut rest)?;
    let kind = match kind {
        0 => CallKind::Send,
        1 => CallKind::Invoke,
        kind => return Err(error(format!("its kind {kind} is unknown"))),
    };
    let priority = match priority {
        0 => Priority::Low,
        1 => Priority::Normal,
        2 => Priority::High,
        3 => Priority::Critical,
        priority => return Err(error(format!("its priority {priority} is unknown"))),
    };
    let encoding = match encoding {
        0 => Encoding::Json,
        1 => Encoding::MessagePack,
        encoding => return Err(error(format!("its encoding {encoding} is unknown"))),
    };
    if flags & !(HAS_KEY | HAS_EXPIRY) != 0 {
        return Err(error(format!("its flags {flags:#x} are unknown")));
    }
    let queued_at = take_time(&mut rest)?;
    let expires_at = if flags & HAS_EXPIRY != 0 { Some(take_time(&mut rest)?) } else { None };
    let supersede_key = if flags & HAS_KEY != 0 { Some(take_text(&mut rest)?) } else { None };
    let target = take_text(&mut rest)?;
    let arguments = Payload::from_encoded(encoding, Bytes::copy_from_slice(take_bytes(&mut rest)?))
        .map_err(|cause| error(format!("its arguments are malformed: {cause}")))?;
    // Sent as it is, it would break the connection for every other call.
    if !arguments.is_list() {
        return Err(error("its arguments are no list"));
    }
    if !rest.is_empty() {
        return Err(error("there is something after its end"));
    }
    Ok(StoredCall { kind, target, arguments, priority, supersede_key, queued_at, expires_at })
}

fn checksum(sequence: Sequence, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&sequence.0.to_le_bytes());
    hasher.update(body);
    hasher.finalize()
}

fn cut_off() -> RecordError {
    error("it is cut off")
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], RecordError> {
    let (taken, after) = rest.split_first_chunk::<N>().ok_or_else(cut_off)?;
    *rest = after;
    Ok(*taken)
}

fn take_time(rest: &mut &[u8]) -> Result<Time, RecordError> {
    take(rest).map(|bytes| Time::from_millis(u64::from_le_bytes(bytes)))
}

fn take_bytes<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], RecordError> {
    let len = u32::from_le_bytes(take(rest)?);
    let len = usize::try_from(len).map_err(|_| cut_off())?;
    let (taken, after) = rest.split_at_checked(len).ok_or_else(cut_off)?;
    *rest = after;
    Ok(taken)
}

fn take_text(rest: &mut &[u8]) -> Result<ByteString, RecordError> {
    ByteString::try_from(take_bytes(rest)?).map_err(|_| error("it has text that is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn payloads() -> impl Strategy<Value = Payload> {
        let values = prop::collection::vec((any::<i64>(), ".{0,12}"), 0..5);
        (values, any::<bool>()).prop_map(|(values, json)| {
            let encoding = if json { Encoding::Json } else { Encoding::MessagePack };
            Payload::encode_arguments(encoding, &values).unwrap()
        })
    }

    fn calls() -> impl Strategy<Value = StoredCall<Payload>> {
        let kind = prop_oneof![Just(CallKind::Send), Just(CallKind::Invoke)];
        let priority = prop_oneof![
            Just(Priority::Low),
            Just(Priority::Normal),
            Just(Priority::High),
            Just(Priority::Critical)
        ];
        let times = (any::<u64>(), any::<Option<u64>>());
        (kind, ".{0,20}", payloads(), priority, prop::option::of(".{0,20}"), times).prop_map(
            |(kind, target, arguments, priority, key, (queued_at, expires_at))| StoredCall {
                kind,
                target: target.into(),
                arguments,
                priority,
                supersede_key: key.map(ByteString::from),
                queued_at: Time::from_millis(queued_at),
                expires_at: expires_at.map(Time::from_millis),
            },
        )
    }

    fn sample() -> StoredCall<Payload> {
        StoredCall {
            kind: CallKind::Invoke,
            target: "Send".into(),
            arguments: Payload::encode_arguments(Encoding::Json, &("a", 1)).unwrap(),
            priority: Priority::High,
            supersede_key: Some("key".into()),
            queued_at: Time::from_millis(1_700_000_000_000),
            expires_at: Some(Time::from_millis(1_700_000_060_000)),
        }
    }

    /// The record with a right checksum after `change`: only the parser can refuse it.
    fn resealed(change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut record = encode(Sequence(1), &sample()).unwrap();
        record.truncate(record.len() - 4);
        change(&mut record);
        let checksum = checksum(Sequence(1), &record);
        record.extend(checksum.to_le_bytes());
        record
    }

    fn refusal(record: &[u8]) -> String {
        decode(Sequence(1), record).unwrap_err().to_string()
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_the_same(sequence: u64, call in calls()) {
            let record = encode(Sequence(sequence), &call).unwrap();
            prop_assert_eq!(decode(Sequence(sequence), &record), Ok(call));
        }

        #[test]
        fn damage_is_refused(call in calls(), flip in 1..=255_u8) {
            let record = encode(Sequence(7), &call).unwrap();
            for len in 0..record.len() {
                prop_assert!(decode(Sequence(7), &record[..len]).is_err(), "cut to {}", len);
            }
            for at in 0..record.len() {
                let mut record = record.clone();
                record[at] ^= flip;
                prop_assert!(decode(Sequence(7), &record).is_err(), "byte {}", at);
            }
            let mut longer = record.clone();
            longer.push(0);
            prop_assert!(decode(Sequence(7), &longer).is_err());
            prop_assert!(decode(Sequence(8), &record).is_err(), "under another sequence");
        }

        /// Damage the checksum does not show: no panic, and what decodes has one form.
        #[test]
        fn bytes_that_were_never_a_record(at in 1..60_usize, byte: u8, cut in 0..80_usize) {
            for record in [
                resealed(|record| { let at = at % record.len(); record[at.max(1)] = byte; }),
                resealed(|record| record.truncate(cut.max(1))),
            ] {
                if let Ok(call) = decode(Sequence(1), &record) {
                    prop_assert_eq!(encode(Sequence(1), &call), Ok(record));
                }
            }
        }

        #[test]
        fn any_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(Sequence(1), &bytes);
        }
    }

    #[test]
    fn the_format_is_this_one() {
        let record = encode(Sequence(1), &sample()).unwrap();
        let mut expected = vec![1, 1, 2, 0, 3];
        expected.extend(1_700_000_000_000_u64.to_le_bytes());
        expected.extend(1_700_000_060_000_u64.to_le_bytes());
        expected.extend(b"\x03\0\0\0key\x04\0\0\0Send\x07\0\0\0[\"a\",1]");
        assert_eq!(record[..record.len() - 4], expected);
    }

    #[test]
    fn refusals_say_why() {
        assert_eq!(refusal(&[]), "it is empty");
        assert_eq!(refusal(&[2, 0, 0]), "its version 2 is unknown");
        assert_eq!(refusal(&[1, 0, 0]), "it is cut off");
        assert_eq!(refusal(&resealed(|record| record[1] = 2)), "its kind 2 is unknown");
        assert_eq!(refusal(&resealed(|record| record[2] = 4)), "its priority 4 is unknown");
        assert_eq!(refusal(&resealed(|record| record[3] = 2)), "its encoding 2 is unknown");
        assert_eq!(refusal(&resealed(|record| record[4] = 7)), "its flags 0x7 are unknown");
        assert_eq!(refusal(&resealed(|record| record.push(0))), "there is something after its end");
        let not_utf8 = resealed(|record| record[25] = 0xff);
        assert_eq!(refusal(&not_utf8), "it has text that is not UTF-8");
        let bad_json = resealed(|record| *record.last_mut().unwrap() = b'}');
        assert!(refusal(&bad_json).starts_with("its arguments are malformed: "));
        let no_list = resealed(|record| {
            let start = record.len() - 7;
            record[start..].copy_from_slice(b"\"a b c\"");
        });
        assert_eq!(refusal(&no_list), "its arguments are no list");
        // As MessagePack the same bytes are more than one value.
        assert!(refusal(&resealed(|record| record[3] = 1)).starts_with("its arguments are malformed: "));
    }

    #[test]
    fn a_stream_is_not_kept() {
        let call = StoredCall { kind: CallKind::Stream, ..sample() };
        assert!(encode(Sequence(1), &call).is_err());
    }
}
