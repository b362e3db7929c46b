//! What the messages of the simulation carry: numbers, and no bytes that would have to be parsed.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytestring::ByteString;
use hubwire::protocol::{Argument, Delta, DeltaOrder, Encoding, Member, OpaquePayload};

/// The fields of an object.
pub(super) type Fields = BTreeMap<u8, u64>;

/// A payload.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Load {
    /// Nothing.
    Empty,
    /// A call of an application, or a message of a stream.
    Number(u64),
    /// A message that is to be acknowledged.
    Message(u64),
    /// What the client itself calls methods with, lists laid flat; and answers that are lists.
    Texts(Arc<[ByteString]>),
    /// Several messages; `None` is one that is malformed.
    Batch(Arc<[Option<Self>]>),
    /// What has changed of an object; `None` is a field that is gone.
    Change {
        /// Which object.
        key: u64,
        /// Its place among the changes.
        order: DeltaOrder,
        /// The fields.
        fields: Arc<BTreeMap<u8, Option<u64>>>,
    },
    /// An object.
    Object(Arc<Fields>),
}

impl OpaquePayload for Load {
    fn byte_len(&self) -> usize {
        match self {
            Self::Batch(members) => 32 * members.len(),
            _ => 32,
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        self == other
    }

    fn no_arguments(_: Encoding) -> Self {
        Self::Empty
    }

    fn from_arguments(_: Encoding, arguments: &[Argument<'_>]) -> Self {
        let mut texts = Vec::new();
        for argument in arguments {
            match argument {
                Argument::Text(text) => texts.push((*text).into()),
                Argument::Texts(list) => texts.extend_from_slice(list),
            }
        }
        Self::Texts(texts.into())
    }

    fn texts(&self) -> Option<Vec<ByteString>> {
        match self {
            Self::Texts(texts) => Some(texts.to_vec()),
            _ => None,
        }
    }

    fn message_id(&self) -> Option<ByteString> {
        match self {
            Self::Message(number) => Some(number.to_string().into()),
            _ => None,
        }
    }

    fn members(&self) -> Option<Vec<Member<Self>>> {
        let Self::Batch(members) = self else { return None };
        let member = |member: &Option<Self>| Member {
            message_id: member.as_ref().and_then(Self::message_id),
            arguments: member.clone(),
        };
        Some(members.iter().map(member).collect())
    }

    fn delta(&self, _: &[ByteString]) -> Option<Delta> {
        match self {
            Self::Change { key, order, .. } => Some(Delta { key: key.to_string().into(), order: *order }),
            _ => None,
        }
    }

    fn apply(&self, base: Option<&Self>, _: bool) -> Option<Self> {
        let Self::Change { fields, .. } = self else { return None };
        let mut object = match base {
            Some(Self::Object(object)) => Fields::clone(object),
            _ => Fields::new(),
        };
        for (field, value) in fields.iter() {
            match value {
                Some(value) => drop(object.insert(*field, *value)),
                None => drop(object.remove(field)),
            }
        }
        Some(Self::Object(object.into()))
    }
}
