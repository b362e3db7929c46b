//! Properties of the codecs for any message and any bytes, and of the client for any sequence of inputs.
#![cfg(feature = "codec")]
#![allow(clippy::unwrap_used, missing_docs)]

use bytes::Bytes;
use hubwire::protocol::frame::FrameDecoder;
use hubwire::protocol::{
    Call, CancelInvocation, Close, Completion, Encoding, HandshakeRequest, HandshakeResponse, Headers,
    HubMessage, Invocation, NegotiateResponse, Outcome, Payload, StreamInvocation, StreamItem,
};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

fn text() -> impl Strategy<Value = bytestring::ByteString> {
    prop_oneof!["[a-zA-Z0-9]{1,12}", "\\PC{1,20}", "[\\x00-\\x1f\"\\\\/é世😀]{1,8}"].prop_map(Into::into)
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e9..1e9).prop_map(Value::from),
        ".{0,300}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::btree_map(".{0,6}", inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn headers() -> impl Strategy<Value = Headers> {
    proptest::collection::btree_map(text(), text(), 0..3).prop_map(|map| map.into_iter().collect())
}

fn call(encoding: Encoding) -> impl Strategy<Value = Call<Payload>> {
    (headers(), text(), vec(value(), 0..4), vec(text(), 0..3)).prop_map(
        move |(headers, target, arguments, stream_ids)| {
            let arguments = Payload::encode_arguments(encoding, &arguments).unwrap();
            Call { headers, target, arguments, stream_ids }
        },
    )
}

fn message(encoding: Encoding) -> impl Strategy<Value = HubMessage<Payload>> {
    let payload = move || value().prop_map(move |value| Payload::encode(encoding, &value).unwrap());
    let outcome = prop_oneof![
        Just(Outcome::Void),
        payload().prop_map(Outcome::Value),
        text().prop_map(Outcome::Error),
    ];
    prop_oneof![
        (proptest::option::of(text()), call(encoding))
            .prop_map(|(invocation_id, call)| HubMessage::Invocation(Invocation { invocation_id, call })),
        (text(), call(encoding)).prop_map(|(invocation_id, call)| HubMessage::StreamInvocation(
            StreamInvocation { invocation_id, call }
        )),
        (headers(), text(), payload()).prop_map(|(headers, invocation_id, item)| {
            HubMessage::StreamItem(StreamItem { headers, invocation_id, item })
        }),
        (headers(), text(), outcome).prop_map(|(headers, invocation_id, outcome)| {
            HubMessage::Completion(Completion { headers, invocation_id, outcome })
        }),
        (headers(), text()).prop_map(|(headers, invocation_id)| {
            HubMessage::CancelInvocation(CancelInvocation { headers, invocation_id })
        }),
        Just(HubMessage::Ping),
        (proptest::option::of(text()), any::<bool>(), proptest::option::of(any::<u64>())).prop_map(
            |(error, allow_reconnect, millis)| {
                let retry_after = millis.map(std::time::Duration::from_millis);
                HubMessage::Close(Close { error, allow_reconnect, retry_after })
            }
        ),
        (0..=i64::MAX as u64).prop_map(|sequence_id| HubMessage::Ack { sequence_id }),
        (0..=i64::MAX as u64).prop_map(|sequence_id| HubMessage::Sequence { sequence_id }),
    ]
}

fn encodings() -> impl Strategy<Value = Encoding> {
    prop_oneof![Just(Encoding::Json), Just(Encoding::MessagePack)]
}

fn some_messages() -> impl Strategy<Value = (Encoding, Vec<HubMessage<Payload>>)> {
    encodings().prop_flat_map(|encoding| (Just(encoding), vec(message(encoding), 1..4)))
}

/// Everything in the pieces; stops at the first error.
fn read(encoding: Encoding, pieces: &[Bytes]) -> Vec<HubMessage<Payload>> {
    let mut frames = FrameDecoder::new(1 << 20);
    frames.begin(encoding);
    let mut messages = Vec::new();
    for piece in pieces {
        frames.push(piece.clone());
        loop {
            match frames.next() {
                Ok(Some(frame)) => match encoding.decode(&frame) {
                    Ok(message) => messages.extend(message),
                    Err(_) => return messages,
                },
                Ok(None) => break,
                Err(_) => return messages,
            }
        }
    }
    messages
}

proptest! {
    /// What is written is read again, wherever the transport cuts it.
    #[test]
    fn messages_survive_any_cut((encoding, messages) in some_messages()) {
        let mut bytes = Vec::new();
        for message in &messages {
            encoding.encode(message, &mut bytes).unwrap();
        }
        let bytes = Bytes::from(bytes);
        for cut in 0..=bytes.len() {
            let pieces = [bytes.slice(..cut), bytes.slice(cut..)];
            prop_assert_eq!(&read(encoding, &pieces), &messages, "cut at {}", cut);
        }
        let single: Vec<_> = (0..bytes.len()).map(|at| bytes.slice(at..=at)).collect();
        prop_assert_eq!(&read(encoding, &single), &messages);
    }

    /// The same message is the same bytes, whatever stood in the buffer before.
    #[test]
    fn encoding_appends((encoding, messages) in some_messages(), before in vec(any::<u8>(), 0..20)) {
        for message in &messages {
            let (mut alone, mut behind) = (Vec::new(), before.clone());
            encoding.encode(message, &mut alone).unwrap();
            encoding.encode(message, &mut behind).unwrap();
            prop_assert_eq!(&behind[..before.len()], &before[..]);
            prop_assert_eq!(&behind[before.len()..], &alone[..]);
        }
    }

    /// A message that was damaged is refused, or read as another message: never a panic.
    #[test]
    fn damage_never_panics((encoding, messages) in some_messages(), damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut bytes = Vec::new();
        for message in &messages {
            encoding.encode(message, &mut bytes).unwrap();
        }
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        for message in read(encoding, &[bytes.into()]) {
            if let Some(payload) = message.payload() {
                let _ = payload.decode::<Value>();
                let _ = payload.arguments();
            }
            // What was understood can be said.
            encoding.encode(&message, &mut Vec::new()).unwrap();
        }
    }

    #[test]
    fn any_bytes_never_panic(bytes in vec(any::<u8>(), 0..400)) {
        let bytes = Bytes::from(bytes);
        for encoding in [Encoding::Json, Encoding::MessagePack] {
            let _ = encoding.decode(&bytes);
            read(encoding, std::slice::from_ref(&bytes));
            let _ = Payload::from_encoded(encoding, bytes.clone());
        }
        let _ = HandshakeRequest::decode(&bytes);
        let _ = HandshakeResponse::decode(&bytes);
        let _ = NegotiateResponse::decode(&bytes);
    }

    /// No more than the limit is held for a message that never ends.
    #[test]
    fn the_limit_bounds_what_is_held(encoding in encodings(), limit in 1_usize..200, pieces in vec(vec(any::<u8>(), 1..50), 1..20)) {
        let mut frames = FrameDecoder::new(limit);
        frames.begin(encoding);
        'pieces: for piece in pieces {
            frames.push(piece.into());
            loop {
                match frames.next() {
                    Ok(Some(frame)) => prop_assert!(frame.len() < limit),
                    Ok(None) => break,
                    Err(_) => break 'pieces,
                }
            }
            prop_assert!(frames.buffered() < limit.max(6));
        }
    }

    /// Arguments come apart as they were put together.
    #[test]
    fn arguments_come_apart(encoding in encodings(), values in vec(value(), 0..6)) {
        let payload = Payload::encode_arguments(encoding, &values).unwrap();
        let mut arguments = payload.arguments().unwrap();
        prop_assert_eq!(arguments.total(), values.len());
        for value in &values {
            prop_assert_eq!(&arguments.take::<Value>().unwrap(), value);
        }
        prop_assert!(arguments.take::<Value>().is_err());
    }
}
