use crate::ByteString;
use bytes::Bytes;
use rmpv::Value;

use super::{
    ARGUMENTS_PER_MESSAGE, BATCH_ID, CONTROL, Control, MESSAGE_ID, MESSAGES, message_id as valid_id,
};
use crate::protocol::message::{Argument, Delta, Member};
use crate::protocol::{Encoding, Payload};

/// Values deeper than this are not looked into: nesting must not cost the stack.
const DEPTH: usize = 64;

type Fields = Vec<(Value, Value)>;

fn read(bytes: &[u8]) -> Option<Value> {
    rmpv::decode::read_value_with_max_depth(&mut &*bytes, DEPTH).ok()
}

fn payload(value: &Value) -> Option<Payload> {
    let mut bytes = Vec::new();
    rmpv::encode::write_value(&mut bytes, value).ok()?;
    Some(Payload::from_frame(Encoding::MessagePack, bytes.into()))
}

fn first_argument(list: &[u8]) -> Option<(Fields, usize)> {
    let Value::Array(arguments) = read(list)? else { return None };
    let count = arguments.len();
    match arguments.into_iter().next()? {
        Value::Map(fields) => Some((fields, count)),
        _ => None,
    }
}

fn get<'a>(fields: &'a Fields, name: &str) -> Option<&'a Value> {
    fields.iter().rev().find(|(own, _)| own.as_str() == Some(name)).map(|(_, value)| value)
}

fn number(fields: &Fields, name: &str) -> Option<Option<u64>> {
    get(fields, name).filter(|value| !value.is_nil()).map(Value::as_u64)
}

pub(super) fn from_arguments(arguments: &[Argument<'_>]) -> Payload {
    let values = arguments.iter().map(|argument| match argument {
        Argument::Text(text) => Value::from(*text),
        Argument::Texts(texts) => Value::Array(texts.iter().map(|text| Value::from(&**text)).collect()),
    });
    payload(&Value::Array(values.collect())).unwrap_or_else(|| Payload::no_arguments(Encoding::MessagePack))
}

pub(super) fn message_id(list: &[u8]) -> Option<ByteString> {
    id_of(&first_argument(list)?.0)
}

fn id_of(fields: &Fields) -> Option<ByteString> {
    valid_id(get(fields, MESSAGE_ID)?.as_str()?)
}

pub(super) fn members(list: &Bytes) -> Option<Vec<Member<Payload>>> {
    let (fields, 1) = first_argument(list)? else { return None };
    get(&fields, BATCH_ID)?.as_str()?;
    let Value::Array(members) = get(&fields, MESSAGES)? else { return None };
    // A flag, or how many there are.
    let lists = get(&fields, ARGUMENTS_PER_MESSAGE)
        .is_some_and(|value| value.as_bool() == Some(true) || value.as_u64().is_some());
    let member = |member: &Value| {
        let object = match member {
            Value::Map(fields) => Some(fields),
            Value::Array(arguments) if lists => match arguments.first() {
                Some(Value::Map(fields)) => Some(fields),
                _ => None,
            },
            _ => None,
        };
        let arguments = match member {
            Value::Array(_) if lists => payload(member),
            // Where members are no lists, each is the one argument, whatever it is.
            _ if !lists => payload(&Value::Array(vec![member.clone()])),
            _ => None,
        };
        Member { arguments, message_id: object.and_then(id_of) }
    };
    Some(members.iter().map(member).collect())
}

pub(super) fn delta(list: &[u8], keys: &[ByteString]) -> Option<Delta> {
    let (fields, 1) = first_argument(list)? else { return None };
    let key = match keys.iter().find_map(|name| get(&fields, name))? {
        Value::String(text) => text.as_str()?.into(),
        Value::Integer(number) => number.to_string().into(),
        _ => return None,
    };
    let control = Control {
        sequence: number(&fields, "sequence"),
        base: number(&fields, "baseSequence"),
        full: get(&fields, "full").and_then(Value::as_bool) == Some(true),
    };
    Some(Delta { key, order: control.order() })
}

pub(super) fn merged(base: Option<&[u8]>, change: &[u8], null_removes: bool) -> Option<Payload> {
    let (change, _) = first_argument(change)?;
    let mut state = match base {
        Some(base) => first_argument(base)?.0,
        None => Fields::new(),
    };
    if let Some(Value::Array(names)) = get(&change, "cleared") {
        state.retain(|(name, _)| !names.contains(name));
    }
    let is_control = |name: &Value| name.as_str().is_some_and(|name| CONTROL.contains(&name));
    merge(&mut state, change.into_iter().filter(|(name, _)| !is_control(name)).collect(), null_removes);
    payload(&Value::Array(vec![Value::Map(state)]))
}

fn merge(state: &mut Fields, change: Fields, null_removes: bool) {
    for (name, new) in change {
        let place = state.iter().position(|(own, _)| *own == name);
        match (place, new) {
            (Some(place), Value::Nil) if null_removes => drop(state.remove(place)),
            (_, Value::Nil) => {}
            (place, Value::Map(change)) => {
                let old = place.map(|place| std::mem::replace(&mut state[place].1, Value::Nil));
                let mut object = match old {
                    Some(Value::Map(object)) => object,
                    _ => Fields::new(),
                };
                merge(&mut object, change, null_removes);
                put(state, place, name, Value::Map(object));
            }
            (place, new) => put(state, place, name, new),
        }
    }
}

fn put(state: &mut Fields, place: Option<usize>, name: Value, value: Value) {
    match place {
        Some(place) => state[place].1 = value,
        None => state.push((name, value)),
    }
}
