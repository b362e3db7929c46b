//! Lists that JavaScript decodes at once: JSON text, or MessagePack.

use hubwire::protocol::Payload;
use serde::Serialize;

/// Builds one list.
#[derive(Debug)]
pub(crate) enum Chunk {
    Json(Vec<u8>),
    MessagePack { bytes: Vec<u8>, items: u32 },
}

/// `array 32`, with room for the number of items.
const HEAD: [u8; 5] = [0xdd, 0, 0, 0, 0];

impl Chunk {
    pub(crate) fn new(is_binary: bool) -> Self {
        if is_binary { Self::MessagePack { bytes: HEAD.to_vec(), items: 0 } } else { Self::Json(vec![b'[']) }
    }

    pub(crate) const fn len(&self) -> usize {
        match self {
            Self::Json(bytes) | Self::MessagePack { bytes, .. } => bytes.len(),
        }
    }

    /// The whole list.
    pub(crate) fn finish(self) -> Vec<u8> {
        match self {
            Self::Json(mut bytes) => {
                bytes.push(b']');
                bytes
            }
            Self::MessagePack { mut bytes, items } => {
                bytes[1..HEAD.len()].copy_from_slice(&items.to_be_bytes());
                bytes
            }
        }
    }

    /// The items of another list of the same encoding.
    pub(crate) fn append(&mut self, other: &Self) {
        match (self, other) {
            (Self::Json(bytes), Self::Json(more)) => {
                if bytes.len() > 1 && more.len() > 1 {
                    bytes.push(b',');
                }
                bytes.extend_from_slice(&more[1..]);
            }
            (Self::MessagePack { bytes, items }, Self::MessagePack { bytes: more, items: count }) => {
                bytes.extend_from_slice(&more[HEAD.len()..]);
                *items += count;
            }
            // A connection has one encoding, and so have its lists.
            _ => {}
        }
    }

    /// Where the next item goes.
    fn item(&mut self) -> &mut Vec<u8> {
        match self {
            Self::Json(bytes) => {
                if bytes.len() > 1 {
                    bytes.push(b',');
                }
                bytes
            }
            Self::MessagePack { bytes, items } => {
                *items += 1;
                bytes
            }
        }
    }

    /// A payload. JSON goes in as it is; MessagePack as bytes, because it is read on its own: it may have what
    /// JavaScript's decoder refuses, and that must not take the others with it.
    pub(crate) fn payload(&mut self, payload: &Payload) {
        let is_json = matches!(self, Self::Json(_));
        let bytes = self.item();
        if is_json {
            bytes.extend_from_slice(payload.bytes());
        } else {
            let _ = rmp::encode::write_bin(bytes, payload.bytes());
        }
    }

    pub(crate) fn number(&mut self, number: u64) {
        let is_json = matches!(self, Self::Json(_));
        let bytes = self.item();
        // Writing to memory does not fail.
        if is_json {
            let _ = serde_json::to_writer(bytes, &number);
        } else {
            let _ = rmp::encode::write_uint(bytes, number);
        }
    }

    pub(crate) fn text(&mut self, text: &str) {
        let is_json = matches!(self, Self::Json(_));
        let bytes = self.item();
        if is_json {
            let _ = serde_json::to_writer(bytes, text);
        } else {
            let _ = rmp::encode::write_str(bytes, text);
        }
    }

    /// A value that is ours: texts, numbers and lists and objects of them.
    pub(crate) fn value(&mut self, value: &impl Serialize) {
        let is_json = matches!(self, Self::Json(_));
        let bytes = self.item();
        if is_json {
            let _ = serde_json::to_writer(bytes, value);
        } else {
            let _ = rmp_serde::encode::write_named(bytes, value);
        }
    }
}
