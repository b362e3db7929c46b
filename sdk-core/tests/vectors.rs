//! The golden vectors of `tests/vectors`, byte for byte in both directions. Their README gives the formats.
#![cfg(feature = "codec")]
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeSet;

use bytes::Bytes;
use hubwire::protocol::delivery::Position;
use hubwire::protocol::frame::FrameDecoder;
use hubwire::protocol::{
    Call, CancelInvocation, Close, Completion, DeltaOrder, Encoding, HandshakeRequest, HandshakeRequestError,
    HandshakeResponse, Headers, HubMessage, Invocation, NegotiateResponse, OpaquePayload, Outcome, Payload,
    ProtocolError, StreamInvocation, StreamItem, Transport,
};
use serde_json::{Map, Value, json};

fn load(file: &str) -> Value {
    let path = format!("{}/../tests/vectors/{file}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn list<'a>(file: &'a Value, name: &str) -> &'a [Value] {
    let list = file[name].as_array().unwrap();
    assert!(!list.is_empty());
    list
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// The bytes of a vector that has either `text` or `hex`.
fn bytes_of(vector: &Value) -> Bytes {
    match (vector["text"].as_str(), vector["hex"].as_str()) {
        (Some(text), None) => Bytes::copy_from_slice(text.as_bytes()),
        (None, Some(hex)) => unhex(hex).into(),
        _ => panic!("neither text nor hex: {vector}"),
    }
}

fn text(value: &Value) -> bytestring::ByteString {
    value.as_str().unwrap().into()
}

fn optional(value: &Value) -> Option<bytestring::ByteString> {
    value.as_str().filter(|text| !text.is_empty()).map(Into::into)
}

/// A value in MessagePack, with `{"$msgpack": hex}` as what it stands for.
fn write_msgpack(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Object(map) if map.contains_key("$msgpack") => {
            out.extend(unhex(map["$msgpack"].as_str().unwrap()))
        }
        Value::Object(map) => {
            rmp::encode::write_map_len(out, map.len() as u32).unwrap();
            for (key, value) in map {
                rmp::encode::write_str(out, key).unwrap();
                write_msgpack(value, out);
            }
        }
        Value::Array(values) => {
            rmp::encode::write_array_len(out, values.len() as u32).unwrap();
            for value in values {
                write_msgpack(value, out);
            }
        }
        value => out.extend(rmp_serde::to_vec(value).unwrap()),
    }
}

fn payload(encoding: Encoding, value: &Value) -> Payload {
    match encoding {
        Encoding::Json => Payload::encode(encoding, value).unwrap(),
        Encoding::MessagePack => {
            let mut out = Vec::new();
            write_msgpack(value, &mut out);
            Payload::from_encoded(encoding, out.into()).unwrap()
        }
    }
}

fn message(encoding: Encoding, vector: &Value) -> HubMessage<Payload> {
    let headers: Headers = vector["headers"]
        .as_object()
        .map(|headers| headers.iter().map(|(name, value)| (name.as_str().into(), text(value))).collect())
        .unwrap_or_default();
    let call = || Call {
        headers: headers.clone(),
        target: text(&vector["target"]),
        arguments: payload(encoding, &vector["arguments"]),
        stream_ids: vector["streamIds"]
            .as_array()
            .map(|ids| ids.iter().map(text).collect())
            .unwrap_or_default(),
    };
    let id = || text(&vector["invocationId"]);
    match vector["type"].as_u64().unwrap() {
        1 => HubMessage::Invocation(Invocation {
            invocation_id: optional(&vector["invocationId"]),
            call: call(),
        }),
        2 => HubMessage::StreamItem(StreamItem {
            invocation_id: id(),
            item: payload(encoding, &vector["item"]),
            headers,
        }),
        3 => {
            let outcome = match (optional(&vector["error"]), vector.get("result")) {
                (Some(error), _) => Outcome::Error(error),
                (None, Some(result)) => Outcome::Value(payload(encoding, result)),
                (None, None) => Outcome::Void,
            };
            HubMessage::Completion(Completion { invocation_id: id(), outcome, headers })
        }
        4 => HubMessage::StreamInvocation(StreamInvocation { invocation_id: id(), call: call() }),
        5 => HubMessage::CancelInvocation(CancelInvocation { invocation_id: id(), headers }),
        6 => HubMessage::Ping,
        7 => HubMessage::Close(Close {
            error: vector["error"].as_str().map(Into::into),
            allow_reconnect: vector["allowReconnect"].as_bool().unwrap_or(false),
            retry_after: None,
        }),
        8 => HubMessage::Ack { sequence_id: vector["sequenceId"].as_u64().unwrap() },
        9 => HubMessage::Sequence { sequence_id: vector["sequenceId"].as_u64().unwrap() },
        other => panic!("type {other}"),
    }
}

/// Messages compare by the values of their payloads: there is more than one way to spell a value.
fn comparable(mut message: HubMessage<Payload>) -> HubMessage<Payload> {
    let respell = |payload: &mut Payload| {
        let bytes = match payload.encoding() {
            Encoding::Json => serde_json::to_vec(&payload.decode::<Value>().unwrap()).unwrap(),
            Encoding::MessagePack => {
                let mut out = Vec::new();
                let value = rmpv::decode::read_value(&mut payload.bytes().as_ref()).unwrap();
                rmpv::encode::write_value(&mut out, &value).unwrap();
                out
            }
        };
        *payload = Payload::from_encoded(payload.encoding(), bytes.into()).unwrap();
    };
    match &mut message {
        HubMessage::Invocation(message) => respell(&mut message.call.arguments),
        HubMessage::StreamInvocation(message) => respell(&mut message.call.arguments),
        HubMessage::StreamItem(message) => respell(&mut message.item),
        HubMessage::Completion(Completion { outcome: Outcome::Value(value), .. }) => respell(value),
        _ => {}
    }
    message
}

/// Everything in the bytes, pushed in pieces of that size.
fn read(
    encoding: Encoding,
    bytes: &Bytes,
    piece: usize,
) -> Result<(Vec<HubMessage<Payload>>, usize), ProtocolError> {
    let mut frames = FrameDecoder::new(16 << 20);
    frames.begin(encoding);
    let mut messages = Vec::new();
    let mut rest = bytes.clone();
    while !rest.is_empty() {
        frames.push(rest.split_to(piece.min(rest.len())));
        while let Some(frame) = frames.next()? {
            messages.extend(encoding.decode(&frame)?);
        }
    }
    Ok((messages, frames.buffered()))
}

const ENCODINGS: [(Encoding, &str); 2] = [(Encoding::Json, "json"), (Encoding::MessagePack, "messagepack")];

fn encoding_of(vector: &Value) -> Encoding {
    Encoding::from_name(vector["encoding"].as_str().unwrap()).unwrap()
}

#[test]
fn messages_are_written_and_read_byte_for_byte() {
    let file = load("messages.json");
    let mut seen = BTreeSet::new();
    let mut compared = 0;
    for vector in list(&file, "vectors") {
        let name = vector["name"].as_str().unwrap();
        for (encoding, key) in ENCODINGS {
            let Some(forms) = vector[key].as_object() else { continue };
            let bytes = |form: &Value| match encoding {
                Encoding::Json => Bytes::copy_from_slice(form.as_str().unwrap().as_bytes()),
                Encoding::MessagePack => unhex(form.as_str().unwrap()).into(),
            };
            let expected = message(encoding, &vector["message"]);
            if let Some(canonical) = forms.get("canonical") {
                let mut written = Vec::new();
                encoding.encode(&expected, &mut written).unwrap();
                assert_eq!(Bytes::from(written), bytes(canonical), "{name} written as {key}");
            }
            for (form, value) in forms {
                let bytes = bytes(value);
                for piece in [usize::MAX, 1, 7] {
                    let (messages, left) =
                        read(encoding, &bytes, piece).unwrap_or_else(|error| panic!("{name}: {error}"));
                    let messages: Vec<_> = messages.into_iter().map(comparable).collect();
                    assert_eq!(messages, [comparable(expected.clone())], "{name}: {form} read as {key}");
                    assert_eq!(left, 0);
                }
                compared += 1;
            }
            seen.insert((key, expected.message_type()));
        }
    }
    assert_eq!(seen.len(), 18, "every message type in both encodings: {seen:?}");
    assert!(compared > 200, "{compared}");
}

#[test]
fn lenient_inputs_are_accepted() {
    let file = load("leniency.json");
    for vector in list(&file, "vectors") {
        let (name, encoding) = (&vector["name"], encoding_of(vector));
        let expected: Vec<_> = match (vector.get("message"), vector.get("messages")) {
            (Some(Value::Null), None) => Vec::new(),
            (Some(single), None) => vec![comparable(message(encoding, single))],
            (None, Some(many)) => {
                many.as_array().unwrap().iter().map(|one| comparable(message(encoding, one))).collect()
            }
            _ => panic!("{name}"),
        };
        for piece in [usize::MAX, 1] {
            let (messages, left) =
                read(encoding, &bytes_of(vector), piece).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(messages.into_iter().map(comparable).collect::<Vec<_>>(), expected, "{name}");
            assert_eq!(left, 0, "{name}");
        }
    }
}

#[test]
fn malformed_inputs_are_refused_with_the_reason() {
    let file = load("malformed.json");
    for vector in list(&file, "vectors") {
        let (name, bytes) = (&vector["name"], bytes_of(vector));
        let result = read(encoding_of(vector), &bytes, usize::MAX);
        if vector["incomplete"] == json!(true) {
            let (messages, left) = result.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(left > 0 && left <= bytes.len(), "{name}: {messages:?}, {left} bytes left");
            continue;
        }
        refused(vector, result);
    }
}

/// Checks that it failed with the vector's reason.
fn refused<T>(vector: &Value, result: Result<T, impl ToString>) {
    let name = &vector["name"];
    let error = result.err().unwrap_or_else(|| panic!("{name} was accepted")).to_string();
    let reason = vector["reason"].as_str().unwrap();
    assert!(error.contains(reason), "{name}: '{error}' does not say '{reason}'");
}

/// The first record of the bytes and what follows it.
fn first_record(vector: &Value) -> Option<(Bytes, Vec<u8>)> {
    let bytes = bytes_of(vector);
    let end = bytes.iter().position(|byte| *byte == 0x1e)?;
    let mut chunk = bytes.to_vec();
    chunk.extend(vector["remainder"].as_str().map(unhex).unwrap_or_default());
    let mut frames = FrameDecoder::new(1 << 20);
    frames.push(chunk.clone().into());
    Some((frames.next().unwrap()?, chunk.split_off(end + 1)))
}

#[test]
fn handshakes() {
    let file = load("handshake.json");
    for vector in list(&file, "requests") {
        let name = &vector["name"];
        let Some((record, rest)) = first_record(vector) else {
            assert_eq!(vector["incomplete"], json!(true), "{name}");
            continue;
        };
        assert_eq!(rest, vector["remainder"].as_str().map(unhex).unwrap_or_default(), "{name}");
        match (vector.get("request"), HandshakeRequest::decode(&record)) {
            (Some(expected), Ok(request)) => {
                assert_eq!(json!(request.encoding.name()), expected["protocol"], "{name}");
                assert_eq!(json!(request.version), expected["version"], "{name}");
                if vector["canonical"] == json!(true) {
                    assert_eq!(request.to_text(), vector["text"].as_str().unwrap(), "{name}");
                }
            }
            // Well-formed, but for a protocol or version that nobody here speaks.
            (Some(expected), Err(error)) => {
                let known = Encoding::from_name(expected["protocol"].as_str().unwrap()).is_some()
                    && (0..=2).contains(&expected["version"].as_i64().unwrap());
                assert!(!known, "{name}: {error}");
            }
            (None, Err(HandshakeRequestError::Malformed(detail))) => refused(vector, Err::<(), _>(detail)),
            (None, result) => panic!("{name}: {result:?}"),
        }
    }
    for vector in list(&file, "responses") {
        let name = &vector["name"];
        let Some((record, rest)) = first_record(vector) else {
            assert_eq!(vector["incomplete"], json!(true), "{name}");
            continue;
        };
        assert_eq!(rest, vector["remainder"].as_str().map(unhex).unwrap_or_default(), "{name}");
        match (vector.get("response"), HandshakeResponse::decode(&record)) {
            (Some(expected), Ok(response)) => {
                assert_eq!(
                    response.error.as_deref(),
                    expected["error"].as_str().filter(|text| !text.is_empty()),
                    "{name}"
                );
                if vector["canonical"] == json!(true) {
                    let mut written = Vec::new();
                    response.encode(&mut written);
                    assert_eq!(
                        String::from_utf8(written).unwrap(),
                        vector["text"].as_str().unwrap(),
                        "{name}"
                    );
                }
            }
            (None, result @ Err(_)) => refused(vector, result),
            (_, result) => panic!("{name}: {result:?}"),
        }
    }
    for vector in list(&file, "serverErrors") {
        // The rest needs a transport or a clock: the server's tests.
        let (Some((record, _)), None) =
            (vector.get("text").and_then(|_| first_record(vector)), vector.get("transfer"))
        else {
            continue;
        };
        let error = HandshakeRequest::decode(&record).unwrap_err();
        assert_eq!(error.to_string(), vector["error"].as_str().unwrap(), "{}", vector["name"]);
    }
}

#[test]
fn negotiate_responses() {
    let file = load("negotiate.json");
    for vector in list(&file, "vectors") {
        let name = &vector["name"];
        let response = NegotiateResponse::decode(vector["body"].as_str().unwrap().as_bytes());
        let Some(expected) = vector.get("response") else {
            refused(vector, response);
            continue;
        };
        let response = response.unwrap_or_else(|error| panic!("{name}: {error}"));
        match &response {
            NegotiateResponse::Refused(text) => assert_eq!(json!(text), expected["error"], "{name}"),
            NegotiateResponse::Redirect(redirect) => {
                assert_eq!(json!(redirect.url), expected["redirect"]["url"], "{name}");
                assert_eq!(
                    redirect.access_token.as_deref(),
                    expected["redirect"]["accessToken"].as_str(),
                    "{name}"
                );
            }
            NegotiateResponse::Accepted(negotiated) => {
                assert_eq!(json!(negotiated.connection_id), expected["connectionId"], "{name}");
                assert_eq!(json!(negotiated.transport_id()), expected["transportId"], "{name}");
                assert_eq!(negotiated.version, expected["version"].as_u64().unwrap().min(1) as u8, "{name}");
                assert_eq!(json!(negotiated.stateful_reconnect), expected["useStatefulReconnect"], "{name}");
                assert_eq!(
                    negotiated.token_lifetime_seconds,
                    expected["tokenLifetimeSeconds"].as_u64(),
                    "{name}"
                );
                let offers: Vec<_> =
                    expected["availableTransports"].as_array().unwrap().iter().map(transport).collect();
                let read: Vec<_> = negotiated
                    .transports
                    .iter()
                    .map(|offer| (offer.transport, offer.formats.text, offer.formats.binary))
                    .collect();
                assert_eq!(read, offers, "{name}");
            }
        }
        // What our writer makes of it reads the same.
        assert_eq!(NegotiateResponse::decode(&response.encode()), Ok(response), "{name}");
    }
}

fn transport(offer: &Value) -> (Transport, bool, bool) {
    let formats = offer["transferFormats"].as_array().unwrap();
    let transport = Transport::from_name(offer["transport"].as_str().unwrap()).unwrap();
    (transport, formats.contains(&json!("Text")), formats.contains(&json!("Binary")))
}

#[test]
fn the_vectors_name_their_sources() {
    let source: Map<_, _> = load("messages.json")["source"].as_object().unwrap().clone();
    assert_eq!(source["@microsoft/signalr"], json!("10.0.11"));
}

/// The payload of a vector in each encoding.
fn payloads(value: &Value) -> [Payload; 2] {
    let mut bytes = Vec::new();
    write_msgpack(value, &mut bytes);
    [
        Payload::encode(Encoding::Json, value).unwrap(),
        Payload::from_encoded(Encoding::MessagePack, bytes.into()).unwrap(),
    ]
}

#[test]
fn delivery() {
    let file = load("delivery.json");
    let keys = ["taskId".into(), "key".into()];
    for vector in list(&file, "vectors") {
        let name = &vector["name"];
        match vector["kind"].as_str().unwrap() {
            "id" => {
                for payload in payloads(&vector["arguments"]) {
                    assert_eq!(payload.message_id().as_deref(), vector["id"].as_str(), "{name}");
                }
            }
            "batch" => {
                for payload in payloads(&vector["arguments"]) {
                    let members = payload.members().map(|members| {
                        let members = members.into_iter().map(|member| {
                            let mut object = Map::new();
                            if let Some(arguments) = member.arguments {
                                object.insert("arguments".into(), arguments.decode().unwrap());
                            }
                            if let Some(id) = member.message_id {
                                object.insert("id".into(), json!(&*id));
                            }
                            Value::Object(object)
                        });
                        Value::Array(members.collect())
                    });
                    assert_eq!(members.unwrap_or_default(), vector["members"], "{name}");
                }
            }
            "change" => {
                for payload in payloads(&vector["arguments"]) {
                    let delta = payload.delta(&keys).map(|delta| {
                        let key = &*delta.key;
                        match delta.order {
                            DeltaOrder::Unordered => json!({"key": key, "order": "unordered"}),
                            DeltaOrder::Full(sequence) => {
                                json!({"key": key, "order": "full", "sequence": sequence})
                            }
                            DeltaOrder::Next { base, sequence } => {
                                json!({"key": key, "order": "next", "base": base, "sequence": sequence})
                            }
                            DeltaOrder::Malformed => json!({"key": key, "order": "malformed"}),
                        }
                    });
                    assert_eq!(delta.unwrap_or_default(), vector["delta"], "{name}");
                }
            }
            "merge" => {
                let null_removes = vector["nullRemoves"].as_bool().unwrap_or(true);
                let objects = payloads(&json!([vector["object"]]));
                for (object, change) in objects.iter().zip(payloads(&json!([vector["change"]]))) {
                    let merged = change.apply(Some(object), null_removes).unwrap();
                    assert_eq!(merged.decode::<Value>().unwrap(), json!([vector["merged"]]), "{name}");
                }
            }
            "position" => {
                let position = Position::parse(&text(&vector["text"])).map(|position| {
                    let Position { epoch, offset, stream } = position;
                    json!({"epoch": &*epoch, "offset": offset.to_string(), "stream": &*stream})
                });
                assert_eq!(position.unwrap_or_default(), vector["position"], "{name}");
            }
            kind => panic!("{kind}"),
        }
    }
}
