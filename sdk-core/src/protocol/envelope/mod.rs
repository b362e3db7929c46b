//! What delivery reads of a payload and writes into one: message ids, the members of batches, changes of objects.
//!
//! Only messages that may be such things are looked into, and only as deep as needed: nothing is decoded on the way of
//! all others.

mod json;
mod msgpack;

use crate::ByteString;

use super::delivery::MAX_MESSAGE_ID;
use super::message::{Argument, Delta, DeltaOrder, Member};
use super::{Encoding, Payload};

/// The fields of a change that are about it and not part of the object.
const CONTROL: [&str; 4] = ["sequence", "baseSequence", "full", "cleared"];

/// What a batch has, besides its members, so that nothing else is taken for one.
const BATCH_ID: &str = "batchId";
const MESSAGES: &str = "messages";
/// Each member is a list of arguments instead of one argument.
const ARGUMENTS_PER_MESSAGE: &str = "argumentsPerMessage";
const MESSAGE_ID: &str = "messageId";

/// An id that may be acknowledged.
fn message_id(text: &str) -> Option<ByteString> {
    (1..=MAX_MESSAGE_ID).contains(&text.len()).then(|| text.into())
}

/// The control fields of a change, as far as they are there; the inner `None` is one of another type.
#[derive(Default)]
struct Control {
    sequence: Option<Option<u64>>,
    base: Option<Option<u64>>,
    full: bool,
}

impl Control {
    fn order(&self) -> DeltaOrder {
        match (self.sequence, self.base, self.full) {
            (None, None, false) => DeltaOrder::Unordered,
            // Whole, from a peer that does not count.
            (None, None, true) => DeltaOrder::Full(0),
            (Some(Some(sequence)), _, true) => DeltaOrder::Full(sequence),
            (Some(Some(sequence)), Some(Some(base)), false) if base < sequence => {
                DeltaOrder::Next { base, sequence }
            }
            _ => DeltaOrder::Malformed,
        }
    }
}

pub(super) fn from_arguments(encoding: Encoding, arguments: &[Argument<'_>]) -> Payload {
    match encoding {
        Encoding::Json => json::from_arguments(arguments),
        Encoding::MessagePack => msgpack::from_arguments(arguments),
    }
}

impl Payload {
    /// The id of the message in an argument list: the text `messageId` of the first argument, if that is an object.
    pub fn message_id(&self) -> Option<ByteString> {
        match self.encoding() {
            Encoding::Json => json::message_id(self.bytes()),
            Encoding::MessagePack => msgpack::message_id(self.bytes()),
        }
    }

    pub(super) fn text_list(&self) -> Option<Vec<ByteString>> {
        self.decode::<Vec<String>>().ok().map(|texts| texts.into_iter().map(Into::into).collect())
    }

    pub(super) fn batch_members(&self) -> Option<Vec<Member<Self>>> {
        match self.encoding() {
            Encoding::Json => json::members(self.bytes()),
            Encoding::MessagePack => msgpack::members(self.bytes()),
        }
    }

    pub(super) fn delta_head(&self, keys: &[ByteString]) -> Option<Delta> {
        match self.encoding() {
            Encoding::Json => json::delta(self.bytes(), keys),
            Encoding::MessagePack => msgpack::delta(self.bytes(), keys),
        }
    }

    pub(super) fn merged(&self, base: Option<&Self>, null_removes: bool) -> Option<Self> {
        let base = base.filter(|base| base.encoding() == self.encoding());
        match self.encoding() {
            Encoding::Json => json::merged(base.map(|base| &**base.bytes()), self.bytes(), null_removes),
            Encoding::MessagePack => {
                msgpack::merged(base.map(|base| &**base.bytes()), self.bytes(), null_removes)
            }
        }
    }
}

#[cfg(test)]
mod tests;
