//! Objects that come as changes: what each is now, and the changes that wait until it came as a whole.

use alloc::vec::Vec;

use crate::ByteString;
use crate::text::joined;

use super::super::recent::Recent;
use super::config::DeliveryConfig;
use crate::protocol::{Delta, DeltaOrder, OpaquePayload};

/// A method, and the key of an object of it.
pub(super) type ObjectId = (ByteString, ByteString);

/// As one name. A name of a method has no such character.
fn name((target, key): &ObjectId) -> ByteString {
    joined(&[target, "\0", key]).into()
}

/// What a change came to.
#[derive(Debug)]
pub(super) struct Merged<P> {
    /// The object after each change that could be merged, in order.
    pub(super) states: Vec<P>,
    /// The object is needed as a whole, and nobody has asked for it yet.
    pub(super) ask: bool,
}

impl<P> Default for Merged<P> {
    fn default() -> Self {
        Self { states: Vec::new(), ask: false }
    }
}

#[derive(Debug)]
struct Object<P> {
    state: Option<P>,
    /// `None` while the object is needed as a whole.
    sequence: Option<u64>,
    held: Vec<(u64, u64, P)>,
    asked: bool,
    /// A gap was reported since it was whole.
    lost: bool,
}

impl<P> Default for Object<P> {
    fn default() -> Self {
        Self { state: None, sequence: None, held: Vec::new(), asked: false, lost: false }
    }
}

impl<P: OpaquePayload> Object<P> {
    fn bytes(&self) -> usize {
        let mut bytes = self.state.as_ref().map_or(0, OpaquePayload::byte_len);
        for (_, _, change) in &self.held {
            bytes += change.byte_len();
        }
        bytes
    }

    /// Drops what waits. Returns how many bytes that was.
    fn drop_held(&mut self) -> usize {
        let mut bytes = 0;
        for (_, _, change) in core::mem::take(&mut self.held) {
            bytes += change.byte_len();
        }
        bytes
    }

    /// Merges what waits, as far as it fits.
    fn merge_held(&mut self, states: &mut Vec<P>) {
        while let (Some((base, sequence, _)), Some(now)) = (self.held.first(), self.sequence)
            && (*sequence <= now || *base == now)
        {
            let (_, sequence, change) = self.held.remove(0);
            if sequence > now {
                self.merge(sequence, &change, states);
            }
        }
    }

    fn merge(&mut self, sequence: u64, change: &P, states: &mut Vec<P>) {
        match change.apply(self.state.as_ref(), true) {
            Some(state) => {
                self.sequence = Some(sequence);
                self.state = Some(state.clone());
                states.push(state);
            }
            None => self.sequence = None,
        }
    }
}

/// Bounded by the configuration.
#[derive(Debug)]
pub(super) struct Objects<P> {
    objects: Recent<Object<P>>,
    bytes: usize,
}

impl<P> Default for Objects<P> {
    fn default() -> Self {
        Self { objects: Recent::default(), bytes: 0 }
    }
}

impl<P: OpaquePayload> Objects<P> {
    /// A change came.
    pub(super) fn change(
        &mut self,
        target: &str,
        delta: &Delta,
        change: &P,
        config: &DeliveryConfig,
    ) -> Merged<P> {
        let id: ObjectId = (target.into(), (&*delta.key).into());
        let mut object = self.take(&id);
        let mut merged = Merged::default();
        match delta.order {
            DeltaOrder::Unordered => {
                if let Some(state) = change.apply(object.state.as_ref(), false) {
                    object.state = Some(state.clone());
                    merged.states.push(state);
                }
            }
            DeltaOrder::Full(sequence) => {
                if let Some(state) = change.apply(None, true) {
                    object = Object { held: object.held, ..Object::default() };
                    object.state = Some(state.clone());
                    object.sequence = Some(sequence);
                    merged.states.push(state);
                    object.merge_held(&mut merged.states);
                    merged.ask = !object.held.is_empty();
                }
            }
            DeltaOrder::Next { base, sequence } => match object.sequence {
                Some(now) if sequence <= now => {}
                Some(now) if base == now => object.merge(sequence, change, &mut merged.states),
                _ => {
                    object.sequence = None;
                    object.held.push((base, sequence, change.clone()));
                    merged.ask = true;
                }
            },
            DeltaOrder::Malformed => {
                object.sequence = None;
                merged.ask = true;
            }
        }
        if object.held.len() > config.max_held_deltas {
            object.drop_held();
        }
        merged.ask &= !object.asked;
        self.put(&id, object, config);
        merged
    }

    fn take(&mut self, id: &ObjectId) -> Object<P> {
        let object = self.objects.remove(&name(id)).unwrap_or_default();
        self.bytes -= object.bytes();
        object
    }

    fn put(&mut self, id: &ObjectId, object: Object<P>, config: &DeliveryConfig) {
        let bytes = object.bytes();
        if bytes > config.max_object_bytes {
            return;
        }
        while (self.objects.len() >= config.max_objects.max(1)
            || self.bytes + bytes > config.max_object_bytes)
            && let Some((_, oldest)) = self.objects.pop_oldest()
        {
            self.bytes -= oldest.bytes();
        }
        self.bytes += bytes;
        self.objects.insert(name(id), object);
    }

    /// It was asked for as a whole.
    pub(super) fn asked(&mut self, id: &ObjectId) {
        if let Some(object) = self.objects.use_mut(&name(id)) {
            object.asked = true;
        }
    }

    /// The server has answered, or never will. Returns whether the object cannot be had, for the first time.
    pub(super) fn answered(&mut self, id: &ObjectId) -> bool {
        let Some(object) = self.objects.use_mut(&name(id)) else { return false };
        object.asked = false;
        if object.sequence.is_some() {
            return false;
        }
        self.bytes -= object.drop_held();
        !core::mem::replace(&mut object.lost, true)
    }

    /// There is no connection, and none is being made: what changes until there is one is not known. The memory is the
    /// application's again.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// The connection is gone, and every answer with it. The server of the next one may count from the beginning again, so
    /// that each object has to come as a whole.
    pub(super) fn disconnected(&mut self) {
        self.objects.change_all(|object| {
            object.asked = false;
            object.sequence = None;
            object.lost = false;
            self.bytes -= object.drop_held();
        });
    }
}
