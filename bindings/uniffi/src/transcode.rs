//! Payloads at the border are JSON. With JSON on the wire they cross as they are; MessagePack is written anew, so that one
//! decoder of the foreign language does for both.
//!
//! What MessagePack has and JSON has not:
//!
//! | MessagePack | to the application | from the application |
//! |---|---|---|
//! | binary | a text in base64 | `{"$binary": "base64"}` |
//! | timestamp | a text as in RFC 3339, in UTC | `{"$timestamp": "RFC 3339"}` |
//! | another extension | `{"$extension": {"type": 5, "data": "base64"}}` | the same |
//! | a key that is no text | its JSON as a text; in a key only numbers and the like | not possible |
//! | not a number, infinite | `"NaN"`, `"Infinity"`, `"-Infinity"` | a text |
//! | a text that is not UTF-8 | the same with U+FFFD in it | not possible |
//!
//! The first two are what .NET makes of `byte[]` and `DateTime` in JSON, so types that read one read the other. Integers have
//! 64 bits; numbers of more become floating-point ones.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use hubwire::protocol::{Encoding, Payload};
use rmpv::ValueRef;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// How deep values may be nested: as deep as JSON that is read.
pub const MAX_DEPTH: usize = 128;

/// The type of timestamps among extensions (MessagePack specification, "Timestamp extension type").
const TIMESTAMP: i8 = -1;

const BINARY: &str = "$binary";
const MOMENT: &str = "$timestamp";
const EXTENSION: &str = "$extension";

/// A value that the other encoding has no words for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TranscodeError(String);

impl fmt::Display for TranscodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TranscodeError {}

fn error(text: impl Into<String>) -> TranscodeError {
    TranscodeError(text.into())
}

/// The payload as JSON.
///
/// # Errors
/// When it is nested too deeply, or a key has a key in it that is a list, a map or an extension.
pub fn to_json(payload: &Payload) -> Result<Vec<u8>, TranscodeError> {
    if payload.encoding() == Encoding::Json {
        return Ok(payload.bytes().to_vec());
    }
    let mut bytes = &payload.bytes()[..];
    let value = rmpv::decode::read_value_ref(&mut bytes)
        .map_err(|what| error(format!("it is no MessagePack: {what}")))?;
    let mut json = Vec::with_capacity(payload.bytes().len() * 2);
    write_json(&value, &mut json, MAX_DEPTH, Place::Value)?;
    Ok(json)
}

/// The payload that JSON stands for.
///
/// # Errors
/// When it is no JSON, or has one of the reserved members with something wrong in it.
pub fn from_json(encoding: Encoding, json: Bytes) -> Result<Payload, TranscodeError> {
    if encoding == Encoding::Json {
        // From another language: what is wrong with it would break the connection for all calls.
        return Payload::from_encoded(encoding, json).map_err(|what| error(what.to_string()));
    }
    let value: Value =
        serde_json::from_slice(&json).map_err(|what| error(format!("it is no JSON: {what}")))?;
    let mut packed = Vec::with_capacity(json.len());
    write_packed(&value, &mut packed)?;
    Ok(Payload::from_encoder(encoding, packed.into()))
}

/// Where a value stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Value,
    /// In the key of a map. Its quotes are escaped; those of a key in it would be so twice, and a few bytes of keys in keys
    /// in keys would become more than any memory holds.
    Key,
}

fn write_json(
    value: &ValueRef<'_>,
    json: &mut Vec<u8>,
    depth: usize,
    place: Place,
) -> Result<(), TranscodeError> {
    // An extension is written as an object in an object.
    let levels = if matches!(value, ValueRef::Ext(..)) { 3 } else { 1 };
    let too_deep = || error(format!("it is nested more than {MAX_DEPTH} times"));
    let deeper = depth.checked_sub(levels).ok_or_else(too_deep)?;
    match value {
        ValueRef::Nil => json.extend_from_slice(b"null"),
        ValueRef::Boolean(is) => json.extend_from_slice(if *is { b"true" } else { b"false" }),
        ValueRef::Integer(number) => json.extend_from_slice(number.to_string().as_bytes()),
        ValueRef::F32(number) => write_float(f64::from(*number), json, || serde_json::to_vec(number)),
        ValueRef::F64(number) => write_float(*number, json, || serde_json::to_vec(number)),
        ValueRef::String(text) => write_text(&text_of(text), json),
        ValueRef::Binary(bytes) => write_text(&BASE64.encode(bytes), json),
        ValueRef::Array(items) => {
            write_list(items, json, b"[]", |item, json| write_json(item, json, deeper, place))?;
        }
        ValueRef::Map(members) => write_list(members, json, b"{}", |(key, value), json| {
            match key {
                ValueRef::String(text) => write_text(&text_of(text), json),
                ValueRef::Array(_) | ValueRef::Map(_) | ValueRef::Ext(..) if place == Place::Key => {
                    return Err(error("a key has a key in it that is a list, a map or an extension"));
                }
                other => {
                    let mut text = Vec::new();
                    write_json(other, &mut text, deeper, Place::Key)?;
                    write_text(&String::from_utf8_lossy(&text), json);
                }
            }
            json.push(b':');
            write_json(value, json, deeper, place)
        })?,
        ValueRef::Ext(TIMESTAMP, data) if moment(data).is_some() => {
            write_text(&moment(data).unwrap_or_default(), json);
        }
        ValueRef::Ext(kind, data) => {
            let extension =
                format!(r#"{{"{EXTENSION}":{{"type":{kind},"data":"{}"}}}}"#, BASE64.encode(data));
            json.extend_from_slice(extension.as_bytes());
        }
    }
    Ok(())
}

fn write_list<T>(
    items: &[T],
    json: &mut Vec<u8>,
    brackets: &[u8; 2],
    mut write: impl FnMut(&T, &mut Vec<u8>) -> Result<(), TranscodeError>,
) -> Result<(), TranscodeError> {
    json.push(brackets[0]);
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            json.push(b',');
        }
        write(item, json)?;
    }
    json.push(brackets[1]);
    Ok(())
}

fn write_text(text: &str, json: &mut Vec<u8>) {
    // Writing text into memory cannot fail.
    let _ = serde_json::to_writer(json, text);
}

fn write_float(number: f64, json: &mut Vec<u8>, write: impl FnOnce() -> serde_json::Result<Vec<u8>>) {
    match write() {
        Ok(text) if number.is_finite() => json.extend_from_slice(&text),
        _ if number.is_nan() => write_text("NaN", json),
        _ => write_text(if number > 0.0 { "Infinity" } else { "-Infinity" }, json),
    }
}

fn text_of(text: &rmpv::Utf8StringRef<'_>) -> String {
    String::from_utf8_lossy(text.as_bytes()).into_owned()
}

/// A timestamp of 32, 64 or 96 bits as text; none if it is none, or beyond the year 9999.
fn moment(data: &[u8]) -> Option<String> {
    let (seconds, nanos) = match data.len() {
        4 => (i128::from(u32::from_be_bytes(data.try_into().ok()?)), 0),
        8 => {
            let both = u64::from_be_bytes(data.try_into().ok()?);
            (i128::from(both & ((1 << 34) - 1)), u32::try_from(both >> 34).ok()?)
        }
        12 => {
            let nanos = u32::from_be_bytes(data[..4].try_into().ok()?);
            (i128::from(i64::from_be_bytes(data[4..].try_into().ok()?)), nanos)
        }
        _ => return None,
    };
    if nanos >= 1_000_000_000 {
        return None;
    }
    let moment =
        OffsetDateTime::from_unix_timestamp_nanos(seconds * 1_000_000_000 + i128::from(nanos)).ok()?;
    moment.format(&Rfc3339).ok()
}

fn write_packed(value: &Value, packed: &mut Vec<u8>) -> Result<(), TranscodeError> {
    // Writing into memory cannot fail, but for texts and lists of more than 4 GiB.
    let large = |_| error("it is too large");
    match value {
        Value::Null => packed.push(rmp::Marker::Null.to_u8()),
        Value::Bool(true) => packed.push(rmp::Marker::True.to_u8()),
        Value::Bool(false) => packed.push(rmp::Marker::False.to_u8()),
        Value::Number(number) => {
            if let Some(number) = number.as_u64() {
                rmp::encode::write_uint(packed, number).map_err(large)?;
            } else if let Some(number) = number.as_i64() {
                rmp::encode::write_sint(packed, number).map_err(large)?;
            } else {
                rmp::encode::write_f64(packed, number.as_f64().unwrap_or_default()).map_err(large)?;
            }
        }
        Value::String(text) => {
            length(text.len())?;
            rmp::encode::write_str(packed, text).map_err(large)?;
        }
        Value::Array(items) => {
            rmp::encode::write_array_len(packed, length(items.len())?).map_err(large)?;
            for item in items {
                write_packed(item, packed)?;
            }
        }
        Value::Object(members) => {
            if members.len() == 1 && write_special(members, packed)? {
                return Ok(());
            }
            rmp::encode::write_map_len(packed, length(members.len())?).map_err(large)?;
            for (key, value) in members {
                length(key.len())?;
                rmp::encode::write_str(packed, key).map_err(large)?;
                write_packed(value, packed)?;
            }
        }
    }
    Ok(())
}

/// Lengths of MessagePack have 32 bits.
fn length(length: usize) -> Result<u32, TranscodeError> {
    u32::try_from(length).map_err(|_| error("it is too large"))
}

/// What JSON has no words for; false if that is not it.
fn write_special(members: &Map<String, Value>, packed: &mut Vec<u8>) -> Result<bool, TranscodeError> {
    let large = |_| error("it is too large");
    let base64 = |value: &Value, name: &str| {
        let bytes = value.as_str().and_then(|text| BASE64.decode(text).ok());
        bytes.ok_or_else(|| error(format!("what is in '{name}' is not base64")))
    };
    if let Some(value) = members.get(BINARY) {
        let bytes = base64(value, BINARY)?;
        rmp::encode::write_bin_len(packed, length(bytes.len())?).map_err(large)?;
        packed.extend_from_slice(&bytes);
    } else if let Some(value) = members.get(MOMENT) {
        let moment = value.as_str().and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok());
        let moment =
            moment.ok_or_else(|| error(format!("what is in '{MOMENT}' is no time as in RFC 3339")))?;
        write_moment(moment, packed)?;
    } else if let Some(value) = members.get(EXTENSION) {
        let kind = value.get("type").and_then(Value::as_i64).and_then(|kind| i8::try_from(kind).ok());
        let kind = kind.ok_or_else(|| error(format!("the type in '{EXTENSION}' is not from -128 to 127")))?;
        let data = base64(value.get("data").unwrap_or(&Value::Null), EXTENSION)?;
        rmp::encode::write_ext_meta(packed, length(data.len())?, kind).map_err(large)?;
        packed.extend_from_slice(&data);
    } else {
        return Ok(false);
    }
    Ok(true)
}

/// In the shortest of the three forms that holds it.
fn write_moment(moment: OffsetDateTime, packed: &mut Vec<u8>) -> Result<(), TranscodeError> {
    let large = |_| error("it is too large");
    let (seconds, nanos) = (moment.unix_timestamp(), moment.nanosecond());
    match (u64::try_from(seconds).ok().filter(|seconds| *seconds < 1 << 34), nanos) {
        (Some(seconds), 0) if seconds <= u64::from(u32::MAX) => {
            rmp::encode::write_ext_meta(packed, 4, TIMESTAMP).map_err(large)?;
            packed.extend_from_slice(&(seconds as u32).to_be_bytes());
        }
        (Some(seconds), nanos) => {
            rmp::encode::write_ext_meta(packed, 8, TIMESTAMP).map_err(large)?;
            packed.extend_from_slice(&(u64::from(nanos) << 34 | seconds).to_be_bytes());
        }
        (None, nanos) => {
            rmp::encode::write_ext_meta(packed, 12, TIMESTAMP).map_err(large)?;
            packed.extend_from_slice(&nanos.to_be_bytes());
            packed.extend_from_slice(&seconds.to_be_bytes());
        }
    }
    Ok(())
}
