use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytestring::ByteString;

use super::{Object, apply, compose, diff, without_nulls};

/// How many objects a hub can send as changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deltas {
    /// Objects at once. The one that changed least recently is forgotten; its next state is sent as a whole.
    pub max_keys: usize,
    /// Bytes of all objects together, as JSON. The ones that changed least recently are forgotten.
    pub max_bytes: usize,
}

impl Default for Deltas {
    fn default() -> Self {
        Self { max_keys: 10_000, max_bytes: 64 * 1024 * 1024 }
    }
}

/// Names one object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StateKey {
    /// To whom it goes.
    pub destination: ByteString,
    /// The client method that takes it as a whole.
    pub target: ByteString,
    /// Which of those objects it is.
    pub key: ByteString,
}

/// What goes to the recipients of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delta {
    /// The place of the state that it leads to, from 1 on.
    pub sequence: u64,
    /// The place of the state that it changes. `None` if it is the whole object.
    pub base: Option<u64>,
    /// What changed, or the whole object.
    pub fields: Object,
}

impl Delta {
    /// One that does what this and the one after it do; `None` if there is none, or `next` does not follow.
    pub fn then(&self, next: &Self) -> Option<Self> {
        if next.base.is_none() {
            return Some(next.clone());
        }
        if next.base != Some(self.sequence) {
            return None;
        }
        let fields = match self.base {
            Some(_) => compose(&self.fields, &next.fields)?,
            None => {
                let mut whole = self.fields.clone();
                apply(&next.fields, &mut whole);
                whole
            }
        };
        Some(Self { sequence: next.sequence, base: self.base, fields })
    }
}

/// The last state of each object of a hub.
#[derive(Debug)]
pub struct States {
    limits: Deltas,
    /// By destination, then by target and key.
    states: HashMap<ByteString, BTreeMap<(ByteString, ByteString), State>>,
    by_change: BTreeMap<u64, StateKey>,
    ticks: u64,
    bytes: usize,
}

#[derive(Debug)]
struct State {
    object: Arc<Object>,
    sequence: u64,
    changed: u64,
    bytes: usize,
}

impl State {
    fn whole(&self) -> Delta {
        Delta { sequence: self.sequence, base: None, fields: Object::clone(&self.object) }
    }
}

impl States {
    /// Nothing was sent.
    pub fn new(limits: Deltas) -> Self {
        Self { limits, states: HashMap::new(), by_change: BTreeMap::new(), ticks: 0, bytes: 0 }
    }

    /// An object has another state now, which has that many bytes. Returns what its recipients get; `None` if it is
    /// the same as before. Properties that are null count as not there.
    pub fn update(&mut self, key: &StateKey, object: Object, bytes: usize) -> Option<Delta> {
        let object = without_nulls(object);
        let (delta, before) = match self.state(key) {
            Some(state) => {
                let fields = diff(&state.object, &object);
                if fields.is_empty() {
                    return None;
                }
                let sequence = state.sequence.saturating_add(1);
                (Delta { sequence, base: Some(state.sequence), fields }, Some((state.changed, state.bytes)))
            }
            None => (Delta { sequence: 1, base: None, fields: object.clone() }, None),
        };
        if let Some((changed, bytes)) = before {
            self.by_change.remove(&changed);
            self.bytes -= bytes;
        }
        self.ticks += 1;
        self.by_change.insert(self.ticks, key.clone());
        self.bytes += bytes;
        let state = State { object: Arc::new(object), sequence: delta.sequence, changed: self.ticks, bytes };
        let of_destination = self.states.entry(key.destination.clone()).or_default();
        of_destination.insert((key.target.clone(), key.key.clone()), state);
        while (self.by_change.len() > self.limits.max_keys || self.bytes > self.limits.max_bytes)
            && let Some(oldest) = self.by_change.first_key_value().map(|(_, key)| key.clone())
        {
            self.forget(&oldest);
        }
        Some(delta)
    }

    /// An object as a whole.
    pub fn snapshot(&self, key: &StateKey) -> Option<Delta> {
        self.state(key).map(State::whole)
    }

    /// All objects of a destination as a whole.
    pub fn snapshots(&self, destination: &ByteString) -> Vec<(StateKey, Delta)> {
        let of_destination = self.states.get(destination).into_iter().flatten();
        let one = |((target, key), state): (&(ByteString, ByteString), &State)| {
            let (destination, target, key) = (destination.clone(), target.clone(), key.clone());
            (StateKey { destination, target, key }, state.whole())
        };
        of_destination.map(one).collect()
    }

    /// An object will not change any more, or is not there any more. Returns whether it was known.
    pub fn forget(&mut self, key: &StateKey) -> bool {
        let Some(of_destination) = self.states.get_mut(&key.destination) else { return false };
        let Some(state) = of_destination.remove(&(key.target.clone(), key.key.clone())) else { return false };
        if of_destination.is_empty() {
            self.states.remove(&key.destination);
        }
        self.by_change.remove(&state.changed);
        self.bytes -= state.bytes;
        true
    }

    /// How many objects are known.
    pub fn len(&self) -> usize {
        self.by_change.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of all of them.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    fn state(&self, key: &StateKey) -> Option<&State> {
        self.states.get(&key.destination)?.get(&(key.target.clone(), key.key.clone()))
    }
}
