//! The JSON encoding: one object per message, in the property order of the official server.
//!
//! The reader walks the envelope once and takes payloads as slices of the frame. It accepts properties in any order
//! and skips unknown ones; names are case-sensitive. Strings that may be absent may also be null.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::ops::Range;
use std::time::Duration;

use crate::ByteString;
use bytes::Bytes;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::frame::RECORD_SEPARATOR;
use super::message::to_millis;
use super::{
    Call, CancelInvocation, Close, Completion, Encoding, Headers, HubMessage, Invocation, Outcome, Payload,
    PayloadError, ProtocolError, StreamInvocation, StreamItem,
};

/// Appends a message and its terminator.
pub(super) fn encode(message: &HubMessage<Payload>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"type\":");
    out.push(b'0' + message.message_type());
    match message {
        HubMessage::Invocation(Invocation { invocation_id, call }) => {
            headers(out, &call.headers);
            if let Some(id) = invocation_id {
                text(out, "invocationId", id);
            }
            write_call(out, call);
        }
        HubMessage::StreamInvocation(StreamInvocation { invocation_id, call }) => {
            headers(out, &call.headers);
            text(out, "invocationId", invocation_id);
            write_call(out, call);
        }
        HubMessage::StreamItem(item) => {
            headers(out, &item.headers);
            text(out, "invocationId", &item.invocation_id);
            raw(out, "item", item.item.bytes());
        }
        HubMessage::Completion(completion) => {
            headers(out, &completion.headers);
            text(out, "invocationId", &completion.invocation_id);
            match &completion.outcome {
                Outcome::Void => {}
                Outcome::Value(value) => raw(out, "result", value.bytes()),
                Outcome::Error(error) => text(out, "error", error),
            }
        }
        HubMessage::CancelInvocation(cancel) => {
            headers(out, &cancel.headers);
            text(out, "invocationId", &cancel.invocation_id);
        }
        HubMessage::Ping => {}
        HubMessage::Close(close) => {
            if let Some(error) = &close.error {
                text(out, "error", error);
            }
            if close.allow_reconnect {
                out.extend_from_slice(b",\"allowReconnect\":true");
            }
            if let Some(retry_after) = close.retry_after {
                raw(out, "retryAfterMs", to_millis(retry_after).to_string().as_bytes());
            }
        }
        HubMessage::Ack { sequence_id } | HubMessage::Sequence { sequence_id } => {
            raw(out, "sequenceId", sequence_id.to_string().as_bytes());
        }
    }
    out.extend_from_slice(&[b'}', RECORD_SEPARATOR]);
}

fn write_call(out: &mut Vec<u8>, call: &Call<Payload>) {
    text(out, "target", &call.target);
    raw(out, "arguments", call.arguments.bytes());
    if !call.stream_ids.is_empty() {
        out.extend_from_slice(b",\"streamIds\":[");
        for (index, id) in call.stream_ids.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            string(out, id);
        }
        out.push(b']');
    }
}

fn headers(out: &mut Vec<u8>, headers: &Headers) {
    if headers.is_empty() {
        return;
    }
    out.extend_from_slice(b",\"headers\":{");
    for (index, (name, value)) in headers.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        string(out, name);
        out.push(b':');
        string(out, value);
    }
    out.push(b'}');
}

fn text(out: &mut Vec<u8>, name: &str, value: &str) {
    property(out, name);
    string(out, value);
}

fn raw(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    property(out, name);
    out.extend_from_slice(value);
}

fn property(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn string(out: &mut Vec<u8>, value: &str) {
    // Writing a string to a vector cannot fail.
    let _ = serde_json::to_writer(&mut *out, value);
}

/// Reads one message, without its terminator.
pub(super) fn decode(frame: &Bytes) -> Result<Option<HubMessage<Payload>>, ProtocolError> {
    let property = Cell::new(None);
    let mut deserializer = serde_json::Deserializer::from_slice(frame);
    let envelope = EnvelopeSeed { frame, property: &property }
        .deserialize(&mut deserializer)
        .and_then(|envelope| deserializer.end().map(|()| envelope))
        .map_err(|error| match property.get() {
            Some((property, expected)) if error.is_data() => ProtocolError::WrongType { property, expected },
            _ if std::str::from_utf8(frame).is_err() => ProtocolError::Json("it is not UTF-8".into()),
            // serde_json's texts give line and column and never quote the input.
            _ => ProtocolError::Json(error.to_string().into()),
        })?;
    envelope.into_message()
}

/// The properties of every message type, before it is known which type it is.
#[derive(Default)]
struct Envelope {
    message_type: Option<i64>,
    headers: Headers,
    invocation_id: Option<ByteString>,
    target: Option<ByteString>,
    arguments: Option<Bytes>,
    stream_ids: Vec<ByteString>,
    item: Option<Bytes>,
    result: Option<Bytes>,
    error: Option<ByteString>,
    allow_reconnect: bool,
    retry_after: Option<u64>,
    sequence_id: Option<u64>,
}

impl Envelope {
    fn into_message(self) -> Result<Option<HubMessage<Payload>>, ProtocolError> {
        const MISSING: fn(&'static str) -> ProtocolError = ProtocolError::MissingProperty;
        let id = |id: Option<ByteString>| id.ok_or(MISSING("invocationId"));
        Ok(Some(match self.message_type.ok_or(MISSING("type"))? {
            1 => HubMessage::Invocation(Invocation {
                invocation_id: self.invocation_id.clone(),
                call: self.into_call()?,
            }),
            4 => HubMessage::StreamInvocation(StreamInvocation {
                invocation_id: id(self.invocation_id.clone())?,
                call: self.into_call()?,
            }),
            2 => HubMessage::StreamItem(StreamItem {
                headers: self.headers,
                invocation_id: id(self.invocation_id)?,
                item: payload(self.item.ok_or(MISSING("item"))?),
            }),
            3 => HubMessage::Completion(Completion {
                headers: self.headers,
                invocation_id: id(self.invocation_id)?,
                // An empty error counts as none, as in the official clients.
                outcome: match (self.error, self.result) {
                    (Some(_), Some(_)) => return Err(ProtocolError::ErrorAndResult),
                    (Some(error), None) if !error.is_empty() => Outcome::Error(error),
                    (_, None) => Outcome::Void,
                    (None, Some(result)) => Outcome::Value(payload(result)),
                },
            }),
            5 => HubMessage::CancelInvocation(CancelInvocation {
                headers: self.headers,
                invocation_id: id(self.invocation_id)?,
            }),
            6 => HubMessage::Ping,
            7 => HubMessage::Close(Close {
                error: self.error.filter(|error| !error.is_empty()),
                allow_reconnect: self.allow_reconnect,
                retry_after: self.retry_after.map(Duration::from_millis),
            }),
            8 => HubMessage::Ack { sequence_id: self.sequence_id.ok_or(MISSING("sequenceId"))? },
            9 => HubMessage::Sequence { sequence_id: self.sequence_id.ok_or(MISSING("sequenceId"))? },
            _ => return Ok(None),
        }))
    }

    fn into_call(self) -> Result<Call<Payload>, ProtocolError> {
        Ok(Call {
            headers: self.headers,
            target: self.target.ok_or(ProtocolError::MissingProperty("target"))?,
            arguments: payload(self.arguments.ok_or(ProtocolError::MissingProperty("arguments"))?),
            stream_ids: self.stream_ids,
        })
    }
}

fn payload(bytes: Bytes) -> Payload {
    Payload::from_frame(Encoding::Json, bytes)
}

/// What is being read, for the error when it has the wrong type.
type CurrentProperty = Cell<Option<(&'static str, &'static str)>>;

struct EnvelopeSeed<'f, 'p> {
    frame: &'f Bytes,
    property: &'p CurrentProperty,
}

impl<'de> DeserializeSeed<'de> for EnvelopeSeed<'de, '_> {
    type Value = Envelope;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Envelope, D::Error> {
        self.property.set(Some(("message", "a JSON object")));
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for EnvelopeSeed<'de, '_> {
    type Value = Envelope;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a hub message")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Envelope, A::Error> {
        let mut envelope = Envelope::default();
        let string = TextSeed(self.frame);
        let expect = |name, expected| self.property.set(Some((name, expected)));
        self.property.set(None);
        while let Some(name) = map.next_key_seed(NameSeed)? {
            match name {
                Name::Type => {
                    expect("type", "an integer");
                    envelope.message_type = Some(map.next_value()?);
                }
                Name::Headers => {
                    expect("headers", "an object of strings");
                    envelope.headers = map.next_value_seed(HeadersSeed(self.frame))?;
                }
                Name::InvocationId => {
                    expect("invocationId", "a string");
                    envelope.invocation_id = map.next_value_seed(string)?.filter(|id| !id.is_empty());
                }
                Name::Target => {
                    expect("target", "a string");
                    envelope.target = map.next_value_seed(string)?.filter(|target| !target.is_empty());
                }
                Name::Arguments => {
                    expect("arguments", "an array");
                    let raw: &RawValue = map.next_value()?;
                    if !raw.get().starts_with('[') {
                        return Err(A::Error::custom("not an array"));
                    }
                    envelope.arguments = Some(self.slice(raw));
                }
                Name::StreamIds => {
                    expect("streamIds", "an array of strings");
                    envelope.stream_ids = map.next_value_seed(TextsSeed(self.frame))?;
                }
                Name::Item => envelope.item = Some(self.slice(map.next_value()?)),
                Name::Result => envelope.result = Some(self.slice(map.next_value()?)),
                Name::Error => {
                    expect("error", "a string");
                    envelope.error = map.next_value_seed(string)?;
                }
                Name::AllowReconnect => {
                    expect("allowReconnect", "a boolean");
                    envelope.allow_reconnect = map.next_value::<Option<bool>>()?.unwrap_or(false);
                }
                Name::RetryAfterMs => {
                    expect("retryAfterMs", "an integer of at least 0");
                    envelope.retry_after = map.next_value()?;
                }
                Name::SequenceId => {
                    expect("sequenceId", "an integer of at least 0");
                    let id: u64 = map.next_value()?;
                    // The specification's type is a signed 64-bit integer.
                    if i64::try_from(id).is_err() {
                        return Err(A::Error::custom("out of range"));
                    }
                    envelope.sequence_id = Some(id);
                }
                Name::Unknown => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            self.property.set(None);
        }
        Ok(envelope)
    }
}

impl EnvelopeSeed<'_, '_> {
    fn slice(&self, raw: &RawValue) -> Bytes {
        self.frame.slice_ref(raw.get().as_bytes())
    }
}

enum Name {
    Type,
    Headers,
    InvocationId,
    Target,
    Arguments,
    StreamIds,
    Item,
    Result,
    Error,
    AllowReconnect,
    RetryAfterMs,
    SequenceId,
    Unknown,
}

struct NameSeed;

impl<'de> DeserializeSeed<'de> for NameSeed {
    type Value = Name;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Name, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for NameSeed {
    type Value = Name;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a property name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Name, E> {
        Ok(match name {
            "type" => Name::Type,
            "headers" => Name::Headers,
            "invocationId" => Name::InvocationId,
            "target" => Name::Target,
            "arguments" => Name::Arguments,
            "streamIds" => Name::StreamIds,
            "item" => Name::Item,
            "result" => Name::Result,
            "error" => Name::Error,
            "allowReconnect" => Name::AllowReconnect,
            "retryAfterMs" => Name::RetryAfterMs,
            "sequenceId" => Name::SequenceId,
            _ => Name::Unknown,
        })
    }
}

/// A string or null; a slice of the frame unless it has escapes.
#[derive(Clone, Copy)]
struct TextSeed<'f>(&'f Bytes);

impl<'de> DeserializeSeed<'de> for TextSeed<'de> {
    type Value = Option<ByteString>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for TextSeed<'de> {
    type Value = Option<ByteString>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
        ByteString::try_from(self.0.slice_ref(text.as_bytes())).map(Some).map_err(E::custom)
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(text.into()))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

struct TextsSeed<'f>(&'f Bytes);

impl<'de> DeserializeSeed<'de> for TextsSeed<'de> {
    type Value = Vec<ByteString>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for TextsSeed<'de> {
    type Value = Vec<ByteString>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of strings")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut texts = Vec::new();
        while let Some(text) = seq.next_element_seed(TextSeed(self.0))? {
            texts.push(text.ok_or_else(|| A::Error::custom("a null"))?);
        }
        Ok(texts)
    }
}

struct HeadersSeed<'f>(&'f Bytes);

impl<'de> DeserializeSeed<'de> for HeadersSeed<'de> {
    type Value = Headers;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for HeadersSeed<'de> {
    type Value = Headers;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of strings")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Headers::new())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut headers = Headers::new();
        while let Some(name) = map.next_key_seed(TextSeed(self.0))? {
            let value = map.next_value_seed(TextSeed(self.0))?;
            let (Some(name), Some(value)) = (name, value) else { return Err(A::Error::custom("a null")) };
            headers.push((name, value));
        }
        Ok(headers)
    }
}

/// Reads a JSON object whose fields are looked at one by one, with errors that name them.
pub(super) fn object(text: &[u8]) -> Result<Object, Cow<'static, str>> {
    match serde_json::from_slice(text) {
        Ok(serde_json::Value::Object(fields)) => Ok(Object(fields)),
        Ok(_) => Err("it is not an object".into()),
        Err(_) if std::str::from_utf8(text).is_err() => Err("it is not JSON: it is not UTF-8".into()),
        Err(error) => Err(format!("it is not JSON: {error}").into()),
    }
}

/// The fields of a handshake or negotiate response; neither is on a hot path.
pub(super) struct Object(serde_json::Map<String, serde_json::Value>);

impl Object {
    /// A field, if it is there and not null.
    pub(super) fn field<'a, T>(
        &'a self,
        name: &str,
        expected: &str,
        read: impl FnOnce(&'a serde_json::Value) -> Option<T>,
    ) -> Result<Option<T>, Cow<'static, str>> {
        match self.0.get(name) {
            None | Some(serde_json::Value::Null) => Ok(None),
            Some(value) => match read(value) {
                Some(value) => Ok(Some(value)),
                None => Err(format!("'{name}' is not {expected}").into()),
            },
        }
    }

    /// A string that is not empty, if it is there.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>, Cow<'static, str>> {
        let text = self.field(name, "a string", serde_json::Value::as_str)?;
        Ok(text.filter(|text| !text.is_empty()).map(str::to_owned))
    }

    /// Whether the field is there, even as null.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

/// Where the elements of an array lie in its text.
pub(super) fn elements(array: &Bytes) -> Result<Vec<Range<usize>>, PayloadError> {
    let values: Vec<&RawValue> =
        serde_json::from_slice(array).map_err(|error| PayloadError(error.to_string()))?;
    let base = array.as_ptr() as usize;
    Ok(values
        .into_iter()
        .map(|value| {
            let start = value.get().as_ptr() as usize - base;
            start..start + value.get().len()
        })
        .collect())
}
