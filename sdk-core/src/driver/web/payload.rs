//! Payloads that JavaScript keeps: here they are numbers.

use alloc::string::String;
use alloc::vec::Vec;

use crate::ByteString;
use js_sys::{Array, JsString};
use wasm_bindgen::prelude::{JsCast, JsValue, wasm_bindgen};

use crate::protocol::{Argument, Delta, DeltaOrder, Encoding, Member, OpaquePayload};

/// What JavaScript does with the payloads that it keeps. A slot holds one of two forms: a value as it was received, or
/// the bytes of one that is to be sent.
#[wasm_bindgen(raw_module = "../../js/payloads.ts")]
extern "C" {
    /// Forgets what is in the slot.
    fn release(slot: u32);
    /// Puts the same value into a slot of its own.
    fn share(slot: u32) -> u32;
    /// About how many bytes it takes on the wire.
    fn measure(slot: u32) -> u32;
    #[wasm_bindgen(js_name = isSame)]
    fn is_same(a: u32, b: u32) -> bool;
    /// Writes an argument list of texts and lists of texts.
    #[wasm_bindgen(js_name = fromArguments)]
    fn from_arguments(message_pack: bool, arguments: &Array) -> u32;
    /// The texts, if it is a list of nothing else.
    fn texts(slot: u32) -> Option<Array>;
    #[wasm_bindgen(js_name = messageId)]
    fn message_id(slot: u32) -> Option<String>;
    /// Three items for each member of a batch: its slot or null, and its id or null.
    fn members(slot: u32) -> Option<Array>;
    /// Key, `baseSequence` or null, `sequence` or null, and whether they are in order.
    fn delta(slot: u32, keys: &str) -> Option<Array>;
    /// The slot of what the change makes of the object in the other slot, or 0.
    fn merge(slot: u32, base: u32, null_removes: bool) -> u32;
}

/// A payload in a slot of JavaScript's table, which it frees when it is dropped. Slots are counted from 1.
#[derive(Debug)]
pub struct Handle {
    slot: u32,
    len: u32,
}

impl Handle {
    /// Takes over what is in a slot, with about so many bytes.
    pub const fn new(slot: u32, len: u32) -> Self {
        Self { slot, len }
    }

    fn adopt(slot: u32) -> Self {
        Self { slot, len: measure(slot) }
    }

    /// The slot. What is in it still belongs to this handle.
    pub const fn slot(&self) -> u32 {
        self.slot
    }

    /// The slot, which JavaScript frees from now on. Nothing is left here.
    pub const fn take(&mut self) -> u32 {
        core::mem::replace(&mut self.slot, 0)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.slot != 0 {
            release(self.slot);
        }
    }
}

impl Clone for Handle {
    fn clone(&self) -> Self {
        Self { slot: share(self.slot), len: self.len }
    }
}

/// The slot is what tells payloads apart that are not to be looked into.
impl PartialEq for Handle {
    fn eq(&self, other: &Self) -> bool {
        self.slot == other.slot
    }
}

pub(super) fn text(value: &JsValue) -> Option<ByteString> {
    value.as_string().map(ByteString::from)
}

/// The texts of an array of texts.
#[inline(never)]
pub fn strings(array: &Array) -> Vec<ByteString> {
    let mut strings = Vec::new();
    for index in 0..array.length() {
        if let Some(text) = text(&array.get(index)) {
            strings.push(text);
        }
    }
    strings
}

/// An array of texts.
pub(super) fn list(texts: &[ByteString]) -> Array {
    let array = Array::new();
    for text in texts {
        array.push(&JsValue::from_str(text));
    }
    array
}

/// A count in a double: whole and not negative.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub(super) fn count(value: &JsValue) -> Option<u64> {
    value.as_f64().map(|number| number as u64)
}

impl OpaquePayload for Handle {
    fn byte_len(&self) -> usize {
        self.len as usize
    }

    fn is_same(&self, other: &Self) -> bool {
        is_same(self.slot, other.slot)
    }

    fn no_arguments(encoding: Encoding) -> Self {
        Self::from_arguments(encoding, &[])
    }

    fn from_arguments(encoding: Encoding, arguments: &[Argument<'_>]) -> Self {
        let array = Array::new();
        for argument in arguments {
            match argument {
                Argument::Text(text) => array.push(&JsValue::from_str(text)),
                Argument::Texts(texts) => array.push(&list(texts)),
            };
        }
        Self::adopt(from_arguments(encoding == Encoding::MessagePack, &array))
    }

    fn texts(&self) -> Option<Vec<ByteString>> {
        texts(self.slot).map(|list| strings(&list))
    }

    fn message_id(&self) -> Option<ByteString> {
        message_id(self.slot).map(ByteString::from)
    }

    fn members(&self) -> Option<Vec<Member<Self>>> {
        let flat = members(self.slot)?;
        let mut members = Vec::new();
        let mut index = 0;
        while index < flat.length() {
            let slot = count(&flat.get(index)).and_then(|slot| u32::try_from(slot).ok());
            let message_id = text(&flat.get(index + 1));
            members.push(Member { arguments: slot.map(Self::adopt), message_id });
            index += 2;
        }
        Some(members)
    }

    fn delta(&self, keys: &[ByteString]) -> Option<Delta> {
        let mut names = String::new();
        for (index, key) in keys.iter().enumerate() {
            names.push_str(if index == 0 { "" } else { "\n" });
            names.push_str(key);
        }
        let found = delta(self.slot, &names)?;
        let key = found.get(0).unchecked_into::<JsString>();
        let order = match (count(&found.get(1)), count(&found.get(2))) {
            _ if found.get(3).is_falsy() => DeltaOrder::Malformed,
            (None, None) => DeltaOrder::Unordered,
            (None, Some(sequence)) => DeltaOrder::Full(sequence),
            (Some(base), Some(sequence)) => DeltaOrder::Next { base, sequence },
            (Some(_), None) => DeltaOrder::Malformed,
        };
        Some(Delta { key: String::from(key).into(), order })
    }

    fn apply(&self, base: Option<&Self>, null_removes: bool) -> Option<Self> {
        let merged = merge(self.slot, base.map_or(0, |base| base.slot), null_removes);
        (merged != 0).then(|| Self::adopt(merged))
    }
}
