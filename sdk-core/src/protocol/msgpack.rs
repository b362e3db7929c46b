//! The MessagePack encoding: one array per message, behind its length.
//!
//! The envelope is read and written by hand; payloads are slices of the frame. The reader takes integers of any
//! width, arrays with surplus elements, invocations of five elements and Close of two.

use std::ops::Range;
use std::time::Duration;

use crate::ByteString;
use bytes::Bytes;
use rmp::Marker;
use rmp::decode::{NumValueReadError, ValueReadError};
use rmp::encode::{write_array_len, write_bool, write_map_len, write_nil, write_str, write_uint};

use super::frame::{close_prefixed, open_prefixed};
use super::message::to_millis;
use super::{
    Call, CancelInvocation, Close, Completion, Encoding, Headers, HubMessage, Invocation, Outcome, Payload,
    PayloadError, ProtocolError, StreamInvocation, StreamItem,
};

/// The beginning of the one element that Close has more between peers that know each other: a map with one entry, so
/// that it is not taken for anything else.
const RETRY_AFTER: &[u8] = b"\x81\xacretryAfterMs";

const RESULT_ERROR: u64 = 1;
const RESULT_VOID: u64 = 2;
const RESULT_VALUE: u64 = 3;

/// Appends a message behind its length.
pub(super) fn encode(message: &HubMessage<Payload>, out: &mut Vec<u8>) {
    let start = open_prefixed(out);
    let mut writer = Writer(out);
    match message {
        HubMessage::Invocation(Invocation { invocation_id, call }) => {
            writer.begin(6, message.message_type());
            writer.headers(&call.headers);
            writer.optional_text(invocation_id.as_ref());
            writer.call(call);
        }
        HubMessage::StreamInvocation(StreamInvocation { invocation_id, call }) => {
            writer.begin(6, message.message_type());
            writer.headers(&call.headers);
            writer.text(invocation_id);
            writer.call(call);
        }
        HubMessage::StreamItem(item) => {
            writer.begin(4, message.message_type());
            writer.headers(&item.headers);
            writer.text(&item.invocation_id);
            writer.raw(&item.item);
        }
        HubMessage::Completion(completion) => {
            let (len, kind) = match &completion.outcome {
                Outcome::Error(_) => (5, RESULT_ERROR),
                Outcome::Void => (4, RESULT_VOID),
                Outcome::Value(_) => (5, RESULT_VALUE),
            };
            writer.begin(len, message.message_type());
            writer.headers(&completion.headers);
            writer.text(&completion.invocation_id);
            writer.integer(kind);
            match &completion.outcome {
                Outcome::Error(error) => writer.text(error),
                Outcome::Void => {}
                Outcome::Value(value) => writer.raw(value),
            }
        }
        HubMessage::CancelInvocation(cancel) => {
            writer.begin(3, message.message_type());
            writer.headers(&cancel.headers);
            writer.text(&cancel.invocation_id);
        }
        HubMessage::Ping => writer.begin(1, message.message_type()),
        HubMessage::Close(close) => {
            writer.begin(3 + u32::from(close.retry_after.is_some()), message.message_type());
            writer.optional_text(close.error.as_ref());
            infallible(write_bool(writer.0, close.allow_reconnect));
            if let Some(retry_after) = close.retry_after {
                writer.0.extend_from_slice(RETRY_AFTER);
                writer.integer(to_millis(retry_after));
            }
        }
        HubMessage::Ack { sequence_id } | HubMessage::Sequence { sequence_id } => {
            writer.begin(2, message.message_type());
            writer.integer(*sequence_id);
        }
    }
    close_prefixed(out, start);
}

struct Writer<'a>(&'a mut Vec<u8>);

impl Writer<'_> {
    fn begin(&mut self, len: u32, message_type: u8) {
        infallible(write_array_len(self.0, len));
        self.integer(message_type.into());
    }

    fn integer(&mut self, value: u64) {
        infallible(write_uint(self.0, value));
    }

    fn text(&mut self, text: &str) {
        infallible(write_str(self.0, text));
    }

    fn optional_text(&mut self, text: Option<&ByteString>) {
        match text {
            Some(text) => self.text(text),
            None => infallible(write_nil(self.0)),
        }
    }

    fn raw(&mut self, payload: &Payload) {
        self.0.extend_from_slice(payload.bytes());
    }

    fn headers(&mut self, headers: &Headers) {
        infallible(write_map_len(self.0, headers.len() as u32));
        for (name, value) in headers {
            self.text(name);
            self.text(value);
        }
    }

    fn call(&mut self, call: &Call<Payload>) {
        self.text(&call.target);
        self.raw(&call.arguments);
        infallible(write_array_len(self.0, call.stream_ids.len() as u32));
        for id in &call.stream_ids {
            self.text(id);
        }
    }
}

/// Writing to a vector cannot fail, but `rmp` has one signature for every writer.
fn infallible<T, E>(_: Result<T, E>) {}

/// Reads one message, without its length prefix.
pub(super) fn decode(frame: &Bytes) -> Result<Option<HubMessage<Payload>>, ProtocolError> {
    let mut reader = Reader { frame, at: 0 };
    if frame.is_empty() {
        return Err(ProtocolError::ShortArray { message_type: 0, len: 0 });
    }
    let len = reader.array_len("message")?;
    if len == 0 {
        return Err(ProtocolError::ShortArray { message_type: 0, len });
    }
    let message_type = reader.read("type", "an integer", |rest| rmp::decode::read_int::<i64, _>(rest))?;
    let at_least = |needed| match len < needed {
        true => Err(ProtocolError::ShortArray { message_type, len }),
        false => Ok(()),
    };
    Ok(Some(match message_type {
        1 => {
            at_least(5)?;
            let headers = reader.headers()?;
            let invocation_id = reader.optional_text("invocationId")?.filter(|id| !id.is_empty());
            HubMessage::Invocation(Invocation { invocation_id, call: reader.call(headers, len)? })
        }
        4 => {
            at_least(5)?;
            let headers = reader.headers()?;
            let invocation_id = reader.invocation_id()?;
            HubMessage::StreamInvocation(StreamInvocation { invocation_id, call: reader.call(headers, len)? })
        }
        2 => {
            at_least(4)?;
            let headers = reader.headers()?;
            let invocation_id = reader.invocation_id()?;
            HubMessage::StreamItem(StreamItem { headers, invocation_id, item: reader.raw()? })
        }
        3 => {
            at_least(4)?;
            let headers = reader.headers()?;
            let invocation_id = reader.invocation_id()?;
            let outcome = match reader.integer("result kind")? {
                RESULT_ERROR => {
                    at_least(5)?;
                    // An empty error counts as none, as in the official clients.
                    let error = reader.text("error")?;
                    if error.is_empty() { Outcome::Void } else { Outcome::Error(error) }
                }
                RESULT_VOID => Outcome::Void,
                RESULT_VALUE => {
                    at_least(5)?;
                    Outcome::Value(reader.raw()?)
                }
                kind => return Err(ProtocolError::ResultKind(kind)),
            };
            HubMessage::Completion(Completion { headers, invocation_id, outcome })
        }
        5 => {
            at_least(3)?;
            let headers = reader.headers()?;
            HubMessage::CancelInvocation(CancelInvocation { headers, invocation_id: reader.invocation_id()? })
        }
        6 => HubMessage::Ping,
        7 => {
            at_least(2)?;
            let error = reader.optional_text("error")?.filter(|error| !error.is_empty());
            let allow_reconnect = len > 2 && reader.boolean("allowReconnect")?;
            let retry_after = if len > 3 { reader.retry_after()? } else { None };
            HubMessage::Close(Close { error, allow_reconnect, retry_after })
        }
        8 => {
            at_least(2)?;
            HubMessage::Ack { sequence_id: reader.sequence_id()? }
        }
        9 => {
            at_least(2)?;
            HubMessage::Sequence { sequence_id: reader.sequence_id()? }
        }
        _ => return Ok(None),
    }))
}

struct Reader<'a> {
    frame: &'a Bytes,
    at: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &[u8] {
        self.frame.get(self.at..).unwrap_or_default()
    }

    /// Reads with one of `rmp`'s functions; what it consumed is known from what it left.
    fn read<T, E: ReadError>(
        &mut self,
        property: &'static str,
        expected: &'static str,
        read: impl FnOnce(&mut &[u8]) -> Result<T, E>,
    ) -> Result<T, ProtocolError> {
        let before = self.rest();
        let mut rest = before;
        let value = read(&mut rest).map_err(|error| match error.at_end() {
            true => TRUNCATED,
            false => ProtocolError::WrongType { property, expected },
        })?;
        self.at += before.len() - rest.len();
        Ok(value)
    }

    fn array_len(&mut self, property: &'static str) -> Result<u32, ProtocolError> {
        self.read(property, "an array", |rest| rmp::decode::read_array_len(rest))
    }

    fn integer(&mut self, property: &'static str) -> Result<u64, ProtocolError> {
        self.read(property, "an integer of at least 0", |rest| rmp::decode::read_int::<u64, _>(rest))
    }

    /// `None` for whatever else a later version of the protocol may put there.
    fn retry_after(&mut self) -> Result<Option<Duration>, ProtocolError> {
        if !self.rest().starts_with(RETRY_AFTER) {
            return Ok(None);
        }
        self.at += RETRY_AFTER.len();
        self.integer("retryAfterMs").map(|millis| Some(Duration::from_millis(millis)))
    }

    fn sequence_id(&mut self) -> Result<u64, ProtocolError> {
        let id = self.integer("sequenceId")?;
        // The specification's type is a signed 64-bit integer.
        i64::try_from(id).map(|_| id).map_err(|_| ProtocolError::WrongType {
            property: "sequenceId",
            expected: "an integer of at least 0",
        })
    }

    fn boolean(&mut self, property: &'static str) -> Result<bool, ProtocolError> {
        self.read(property, "a boolean", |rest| rmp::decode::read_bool(rest))
    }

    fn optional_text(&mut self, property: &'static str) -> Result<Option<ByteString>, ProtocolError> {
        if self.rest().first() == Some(&Marker::Null.to_u8()) {
            self.at += 1;
            return Ok(None);
        }
        self.text(property).map(Some)
    }

    fn text(&mut self, property: &'static str) -> Result<ByteString, ProtocolError> {
        let expected = "a string";
        let len = self.read(property, expected, |rest| rmp::decode::read_str_len(rest))? as usize;
        if self.rest().len() < len {
            return Err(TRUNCATED);
        }
        let bytes = self.frame.slice(self.at..self.at + len);
        self.at += len;
        ByteString::try_from(bytes).map_err(|_| ProtocolError::Utf8 { property })
    }

    fn invocation_id(&mut self) -> Result<ByteString, ProtocolError> {
        self.optional_text("invocationId")?
            .filter(|id| !id.is_empty())
            .ok_or(ProtocolError::MissingProperty("invocationId"))
    }

    fn headers(&mut self) -> Result<Headers, ProtocolError> {
        if self.rest().first() == Some(&Marker::Null.to_u8()) {
            self.at += 1;
            return Ok(Headers::new());
        }
        let len = self.read("headers", "a map of strings", |rest| rmp::decode::read_map_len(rest))?;
        let mut headers = Headers::new();
        for _ in 0..len {
            headers.push((self.text("headers")?, self.text("headers")?));
        }
        Ok(headers)
    }

    fn raw(&mut self) -> Result<Payload, ProtocolError> {
        let len = value_len(self.rest())?;
        let bytes = self.frame.slice(self.at..self.at + len);
        self.at += len;
        Ok(Payload::from_frame(Encoding::MessagePack, bytes))
    }

    fn call(&mut self, headers: Headers, len: u32) -> Result<Call<Payload>, ProtocolError> {
        let target = self
            .optional_text("target")?
            .filter(|target| !target.is_empty())
            .ok_or(ProtocolError::MissingProperty("target"))?;
        if !self.rest().first().is_some_and(|first| is_array(*first)) {
            return Err(ProtocolError::WrongType { property: "arguments", expected: "an array" });
        }
        let arguments = self.raw()?;
        let mut stream_ids = Vec::new();
        // Peers that know of no upload streams leave the element out.
        if len > 5 {
            if self.rest().first() == Some(&Marker::Null.to_u8()) {
                self.at += 1;
            } else {
                for _ in 0..self.array_len("streamIds")? {
                    stream_ids.push(self.text("streamIds")?);
                }
            }
        }
        Ok(Call { headers, target, arguments, stream_ids })
    }
}

/// `rmp` has two error types, with the same meaning for a slice.
trait ReadError {
    /// Whether the bytes ended too early, rather than being of another type.
    fn at_end(&self) -> bool;
}

impl ReadError for ValueReadError {
    fn at_end(&self) -> bool {
        matches!(self, Self::InvalidMarkerRead(_) | Self::InvalidDataRead(_))
    }
}

impl ReadError for NumValueReadError {
    fn at_end(&self) -> bool {
        matches!(self, Self::InvalidMarkerRead(_) | Self::InvalidDataRead(_))
    }
}

const TRUNCATED: ProtocolError = ProtocolError::MessagePack("is truncated");

pub(super) fn is_array(first: u8) -> bool {
    matches!(Marker::from_u8(first), Marker::FixArray(_) | Marker::Array16 | Marker::Array32)
}

/// The length in bytes of the value at the front of `bytes`.
///
/// Counts the values that are still owed instead of descending, so that nesting costs neither stack nor memory.
pub(super) fn value_len(bytes: &[u8]) -> Result<usize, ProtocolError> {
    let mut at = 0usize;
    let mut owed = 1u64;
    while owed > 0 {
        owed -= 1;
        let first = *bytes.get(at).ok_or(TRUNCATED)?;
        at += 1;
        // The size of the length field, and what the length counts.
        let (field, counts) = match Marker::from_u8(first) {
            Marker::FixPos(_) | Marker::FixNeg(_) | Marker::Null | Marker::True | Marker::False => {
                (0, Counts::Bytes(0))
            }
            Marker::U8 | Marker::I8 => (0, Counts::Bytes(1)),
            Marker::U16 | Marker::I16 | Marker::FixExt1 => (0, Counts::Bytes(2)),
            Marker::FixExt2 => (0, Counts::Bytes(3)),
            Marker::U32 | Marker::I32 | Marker::F32 => (0, Counts::Bytes(4)),
            Marker::FixExt4 => (0, Counts::Bytes(5)),
            Marker::U64 | Marker::I64 | Marker::F64 => (0, Counts::Bytes(8)),
            Marker::FixExt8 => (0, Counts::Bytes(9)),
            Marker::FixExt16 => (0, Counts::Bytes(17)),
            Marker::FixStr(len) => (0, Counts::Bytes(len.into())),
            Marker::FixArray(len) => (0, Counts::Values(len.into())),
            Marker::FixMap(len) => (0, Counts::Values(2 * u64::from(len))),
            Marker::Str8 | Marker::Bin8 => (1, Counts::Bytes(0)),
            Marker::Str16 | Marker::Bin16 => (2, Counts::Bytes(0)),
            Marker::Str32 | Marker::Bin32 => (4, Counts::Bytes(0)),
            // The length of an extension leaves out its type byte.
            Marker::Ext8 => (1, Counts::Bytes(1)),
            Marker::Ext16 => (2, Counts::Bytes(1)),
            Marker::Ext32 => (4, Counts::Bytes(1)),
            Marker::Array16 => (2, Counts::Values(1)),
            Marker::Array32 => (4, Counts::Values(1)),
            Marker::Map16 => (2, Counts::Values(2)),
            Marker::Map32 => (4, Counts::Values(2)),
            Marker::Reserved => return Err(ProtocolError::MessagePack("has the reserved byte 0xc1")),
        };
        let length = match field {
            0 => 0,
            field => {
                let digits = bytes.get(at..at + field).ok_or(TRUNCATED)?;
                at += field;
                digits.iter().fold(0u64, |length, digit| length << 8 | u64::from(*digit))
            }
        };
        match (field, counts) {
            (_, Counts::Bytes(more)) => {
                let end = (at as u64).saturating_add(length).saturating_add(more);
                at = usize::try_from(end).ok().filter(|end| *end <= bytes.len()).ok_or(TRUNCATED)?;
            }
            (0, Counts::Values(values)) => owed += values,
            (_, Counts::Values(per_entry)) => owed = owed.saturating_add(length * per_entry),
        }
    }
    Ok(at)
}

enum Counts {
    /// That many more bytes than the length field says.
    Bytes(u64),
    /// That many values, or that many per entry of the length field.
    Values(u64),
}

/// Where the elements of an array lie in its bytes.
pub(super) fn elements(array: &Bytes) -> Result<Vec<Range<usize>>, PayloadError> {
    let mut reader = Reader { frame: array, at: 0 };
    let to_payload_error = |error: ProtocolError| PayloadError(error.to_string());
    let len = reader.array_len("arguments").map_err(to_payload_error)?;
    let mut values = Vec::new();
    for _ in 0..len {
        let start = reader.at;
        reader.at += value_len(reader.rest()).map_err(to_payload_error)?;
        values.push(start..reader.at);
    }
    Ok(values)
}
