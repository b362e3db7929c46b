use std::fmt;

use crate::ByteString;
use bytes::Bytes;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    ARGUMENTS_PER_MESSAGE, BATCH_ID, CONTROL, Control, MESSAGE_ID, MESSAGES, message_id as valid_id,
};
use crate::protocol::message::{Argument, Delta, Member};
use crate::protocol::{Encoding, Payload};

/// Objects deeper than this are replaced as a whole when they are merged: nesting must not cost the stack.
const DEPTH: usize = 64;

/// The fields of an object in their order, values as text.
struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    fields.push(entry);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

impl<'a> Fields<'a> {
    fn read(text: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }

    /// The first argument of a list, if it is an object.
    fn of_first_argument(list: &'a [u8]) -> Option<(Self, usize)> {
        let arguments: Vec<&RawValue> = serde_json::from_slice(list).ok()?;
        let first = arguments.first()?;
        Some((Self::read(first.get().as_bytes())?, arguments.len()))
    }

    /// The last of that name counts, as in JavaScript.
    fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().rev().find(|(own, _)| own == name).map(|(_, value)| *value)
    }

    fn text(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.get(name)?.get()).ok()
    }

    fn is_true(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.get() == "true")
    }

    fn number(&self, name: &str) -> Option<Option<u64>> {
        let value = self.get(name)?.get();
        (value != "null").then(|| serde_json::from_str(value).ok())
    }
}

fn payload(text: Vec<u8>) -> Payload {
    Payload::from_frame(Encoding::Json, text.into())
}

pub(super) fn from_arguments(arguments: &[Argument<'_>]) -> Payload {
    #[derive(Serialize)]
    #[serde(untagged)]
    enum Value<'a> {
        Text(&'a str),
        Texts(Vec<&'a str>),
    }
    let values: Vec<_> = arguments
        .iter()
        .map(|argument| match argument {
            Argument::Text(text) => Value::Text(text),
            Argument::Texts(texts) => Value::Texts(texts.iter().map(|text| &**text).collect()),
        })
        .collect();
    // Texts always serialise.
    payload(serde_json::to_vec(&values).unwrap_or_else(|_| b"[]".to_vec()))
}

pub(super) fn message_id(list: &[u8]) -> Option<ByteString> {
    let (fields, _) = Fields::of_first_argument(list)?;
    valid_id(&fields.text(MESSAGE_ID)?)
}

pub(super) fn members(list: &Bytes) -> Option<Vec<Member<Payload>>> {
    let (fields, 1) = Fields::of_first_argument(list)? else { return None };
    fields.text(BATCH_ID)?;
    let members: Vec<&RawValue> = serde_json::from_str(fields.get(MESSAGES)?.get()).ok()?;
    // A flag, or how many there are.
    let lists = fields.is_true(ARGUMENTS_PER_MESSAGE)
        || matches!(fields.number(ARGUMENTS_PER_MESSAGE), Some(Some(_)));
    let member = |member: &RawValue| {
        let text = member.get();
        // Where members are no lists, each is the one argument, whatever it is.
        let whole = !lists || text.starts_with('[');
        let message_id = match (lists, whole) {
            (true, true) => message_id(text.as_bytes()),
            _ if !text.starts_with('{') => None,
            _ => Fields::read(text.as_bytes())
                .and_then(|own| own.text(MESSAGE_ID))
                .and_then(|id| valid_id(&id)),
        };
        let arguments = whole.then(|| match lists {
            true => Payload::from_frame(Encoding::Json, list.slice_ref(text.as_bytes())),
            false => payload([b"[", text.as_bytes(), b"]"].concat()),
        });
        Member { arguments, message_id }
    };
    Some(members.into_iter().map(member).collect())
}

pub(super) fn delta(list: &[u8], keys: &[ByteString]) -> Option<Delta> {
    let (fields, 1) = Fields::of_first_argument(list)? else { return None };
    let key = keys.iter().find_map(|name| fields.get(name))?.get();
    let key = match key.as_bytes().first()? {
        b'"' => serde_json::from_str::<String>(key).ok()?.into(),
        b'-' | b'0'..=b'9' => key.into(),
        _ => return None,
    };
    let control = Control {
        sequence: fields.number("sequence"),
        base: fields.number("baseSequence"),
        full: fields.is_true("full"),
    };
    Some(Delta { key, order: control.order() })
}

/// The object with the change merged into it (RFC 7396), numbers as they were written.
pub(super) fn merged(base: Option<&[u8]>, change: &[u8], null_removes: bool) -> Option<Payload> {
    let (change, _) = Fields::of_first_argument(change)?;
    let base = match base {
        Some(base) => Fields::of_first_argument(base)?.0,
        None => Fields(Vec::new()),
    };
    let cleared: Vec<String> =
        change.get("cleared").and_then(|names| serde_json::from_str(names.get()).ok()).unwrap_or_default();
    let change = Fields(change.0.into_iter().filter(|(name, _)| !CONTROL.contains(&name.as_str())).collect());
    let base = Fields(base.0.into_iter().filter(|(name, _)| !cleared.contains(name)).collect());
    let mut out = vec![b'['];
    merge(&mut out, &base, &change, null_removes, 0);
    out.push(b']');
    Some(payload(out))
}

fn merge(out: &mut Vec<u8>, base: &Fields<'_>, change: &Fields<'_>, null_removes: bool, depth: usize) {
    let mut first = true;
    let mut write = |out: &mut Vec<u8>, name: &str| {
        out.extend_from_slice(if first { b"{" } else { b"," });
        first = false;
        // Texts always serialise.
        let _ = serde_json::to_writer(&mut *out, name);
        out.push(b':');
    };
    for (name, old) in &base.0 {
        match change.get(name).map(RawValue::get) {
            Some("null") if null_removes => {}
            None | Some("null") => {
                write(out, name);
                out.extend_from_slice(old.get().as_bytes());
            }
            Some(new) => {
                write(out, name);
                value(out, Some(old.get()), new, null_removes, depth);
            }
        }
    }
    for (index, (name, new)) in change.0.iter().enumerate() {
        let repeated = change.0.iter().skip(index + 1).any(|(other, _)| other == name);
        if base.get(name).is_none() && !repeated && new.get() != "null" {
            write(out, name);
            value(out, None, new.get(), null_removes, depth);
        }
    }
    out.extend_from_slice(if first { b"{}" } else { b"}" });
}

fn value(out: &mut Vec<u8>, old: Option<&str>, new: &str, null_removes: bool, depth: usize) {
    if new.starts_with('{')
        && depth < DEPTH
        && let Some(change) = Fields::read(new.as_bytes())
    {
        let old = old.and_then(|old| Fields::read(old.as_bytes())).unwrap_or(Fields(Vec::new()));
        merge(out, &old, &change, null_removes, depth + 1);
    } else {
        out.extend_from_slice(new.as_bytes());
    }
}
