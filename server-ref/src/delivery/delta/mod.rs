//! Objects that are sent as what changed in them.
//!
//! [`diff`], [`apply`] and [`compose`] are merge patches (RFC 7396) on JSON objects: what is in the patch is set,
//! what is null in it is removed, objects are patched inside, and lists are replaced as a whole. [`States`] keeps the
//! last state of each object that is sent, and says what goes to its recipients. No clock, no I/O, no lock.

mod states;

#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

pub use states::{Delta, Deltas, StateKey, States};

/// A JSON object.
pub type Object = Map<String, Value>;

/// What makes `new` of `old`. Empty if they are the same.
///
/// Properties that are null in `new` count as not there, because a patch cannot set them. That goes for objects in
/// objects, not for what is in lists.
pub fn diff(old: &Object, new: &Object) -> Object {
    let mut patch = Object::new();
    for (name, value) in new {
        match (old.get(name), value) {
            (_, Value::Null) => {}
            (Some(before), value) if before == value => {}
            (Some(Value::Object(before)), Value::Object(value)) => {
                let inner = diff(before, value);
                if !inner.is_empty() {
                    patch.insert(name.clone(), inner.into());
                }
            }
            (_, Value::Object(value)) => {
                patch.insert(name.clone(), without_nulls(value.clone()).into());
            }
            (_, value) => {
                patch.insert(name.clone(), value.clone());
            }
        }
    }
    let is_gone = |name: &&String| new.get(*name).is_none_or(Value::is_null) && !old[*name].is_null();
    patch.extend(old.keys().filter(is_gone).map(|name| (name.clone(), Value::Null)));
    patch
}

/// Does to an object what a patch says.
pub fn apply(patch: &Object, object: &mut Object) {
    for (name, value) in patch {
        match value {
            Value::Null => {
                object.remove(name);
            }
            Value::Object(patch) => {
                let inner = object.entry(name).or_insert_with(|| Object::new().into());
                if !inner.is_object() {
                    *inner = Object::new().into();
                }
                if let Value::Object(inner) = inner {
                    apply(patch, inner);
                }
            }
            value => {
                object.insert(name.clone(), value.clone());
            }
        }
    }
}

/// One patch that does what two do, one after the other.
///
/// `None` if there is none: when the first removes or replaces what the second has an object for. That object would
/// have to take the place of whatever was there, and a patch would merge it with that.
pub fn compose(first: &Object, second: &Object) -> Option<Object> {
    let mut both = first.clone();
    for (name, value) in second {
        let value = match (first.get(name), value) {
            (Some(Value::Object(before)), Value::Object(value)) => compose(before, value)?.into(),
            (Some(_), Value::Object(_)) => return None,
            (_, value) => value.clone(),
        };
        both.insert(name.clone(), value);
    }
    Some(both)
}

/// The object as a patch leaves it: without properties that are null.
pub fn without_nulls(object: Object) -> Object {
    let keep = |(name, value)| match value {
        Value::Null => None,
        Value::Object(inner) => Some((name, without_nulls(inner).into())),
        value => Some((name, value)),
    };
    object.into_iter().filter_map(keep).collect()
}
