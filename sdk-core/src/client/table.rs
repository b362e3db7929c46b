//! Maps by number and by name. All of them share the code of two B-trees: each other kind of B-tree would be kilobytes
//! more of WebAssembly.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::fmt;
use core::marker::PhantomData;

use crate::ByteString;

use super::io::{CallId, DeliveryId, ReplyId, UploadId};
use super::stored::{Priority, Sequence};
use crate::Time;

/// A key as two numbers, in the same order.
type Pair = [u64; 2];

const FIRST: Pair = [0, 0];
const LAST: Pair = [u64::MAX, u64::MAX];

/// What can be written as two numbers.
pub(super) trait Key: Copy {
    fn to_pair(self) -> Pair;
    fn from_pair(pair: Pair) -> Self;
}

macro_rules! numbers {
    ($($name:ident),*) => {
        $(impl Key for $name {
            fn to_pair(self) -> Pair {
                [0, self.0]
            }

            fn from_pair([_, number]: Pair) -> Self {
                Self(number)
            }
        })*
    };
}

numbers!(CallId, DeliveryId, ReplyId, UploadId, Sequence);

impl Key for u64 {
    fn to_pair(self) -> Pair {
        [0, self]
    }

    fn from_pair([_, number]: Pair) -> Self {
        number
    }
}

impl Key for (Time, CallId) {
    fn to_pair(self) -> Pair {
        [self.0.as_millis(), self.1.0]
    }

    fn from_pair([time, call]: Pair) -> Self {
        (Time::from_millis(time), CallId(call))
    }
}

impl Key for (Time, u64) {
    fn to_pair(self) -> Pair {
        [self.0.as_millis(), self.1]
    }

    fn from_pair([time, number]: Pair) -> Self {
        (Time::from_millis(time), number)
    }
}

impl Key for (Reverse<Priority>, u64) {
    fn to_pair(self) -> Pair {
        [u64::from(u8::MAX - self.0.0 as u8), self.1]
    }

    fn from_pair([urgency, number]: Pair) -> Self {
        let index = usize::from(u8::MAX) - usize::try_from(urgency).unwrap_or_default();
        (Reverse(Priority::ALL.get(index).copied().unwrap_or_default()), number)
    }
}

/// Where values are, by number.
#[derive(Debug, Default)]
struct Index(BTreeMap<Pair, u32>);

// Never inlined: that is the purpose.
impl Index {
    #[inline(never)]
    fn get(&self, key: Pair) -> Option<u32> {
        self.0.get(&key).copied()
    }

    #[inline(never)]
    fn insert(&mut self, key: Pair, slot: u32) {
        self.0.insert(key, slot);
    }

    #[inline(never)]
    fn remove(&mut self, key: Pair) -> Option<u32> {
        self.0.remove(&key)
    }

    #[inline(never)]
    fn first_from(&self, key: Pair) -> Option<(Pair, u32)> {
        self.0.range(key..).next().map(|(key, slot)| (*key, *slot))
    }

    #[inline(never)]
    fn last_to(&self, key: Pair) -> Option<(Pair, u32)> {
        self.0.range(..=key).next_back().map(|(key, slot)| (*key, *slot))
    }
}

/// Values in places that are used again.
#[derive(Debug)]
struct Slots<V> {
    values: Vec<Option<V>>,
    free: Vec<u32>,
}

impl<V> Slots<V> {
    const fn new() -> Self {
        Self { values: Vec::new(), free: Vec::new() }
    }

    const fn len(&self) -> usize {
        self.values.len() - self.free.len()
    }

    fn put(&mut self, value: V) -> u32 {
        if let Some(slot) = self.free.pop() {
            self.values[slot as usize] = Some(value);
            return slot;
        }
        self.values.push(Some(value));
        // Memory ends long before.
        u32::try_from(self.values.len() - 1).unwrap_or(u32::MAX)
    }

    fn get(&self, slot: u32) -> Option<&V> {
        self.values.get(slot as usize)?.as_ref()
    }

    fn get_mut(&mut self, slot: u32) -> Option<&mut V> {
        self.values.get_mut(slot as usize)?.as_mut()
    }

    fn take(&mut self, slot: u32) -> Option<V> {
        let value = self.values.get_mut(slot as usize)?.take();
        self.free.push(slot);
        if self.len() == 0 {
            // What a burst needed is given back.
            *self = Self::new();
        }
        value
    }
}

/// A map whose keys are numbers, in their order.
pub(super) struct Table<K, V> {
    index: Index,
    slots: Slots<V>,
    keys: PhantomData<K>,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { index: Index::default(), slots: Slots::new(), keys: PhantomData }
    }
}

impl<K, V: fmt::Debug> fmt::Debug for Table<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.index.0.iter().map(|(key, slot)| (key, self.slots.get(*slot)))).finish()
    }
}

impl<K: Key, V> Table<K, V> {
    pub(super) const fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.slots.len() == 0
    }

    pub(super) fn contains(&self, key: K) -> bool {
        self.index.get(key.to_pair()).is_some()
    }

    pub(super) fn get(&self, key: K) -> Option<&V> {
        self.slots.get(self.index.get(key.to_pair())?)
    }

    pub(super) fn get_mut(&mut self, key: K) -> Option<&mut V> {
        self.slots.get_mut(self.index.get(key.to_pair())?)
    }

    /// Puts a value in, instead of the one that was there.
    pub(super) fn insert(&mut self, key: K, value: V) {
        let key = key.to_pair();
        if let Some(slot) = self.index.get(key) {
            self.slots.values[slot as usize] = Some(value);
        } else {
            let slot = self.slots.put(value);
            self.index.insert(key, slot);
        }
    }

    pub(super) fn remove(&mut self, key: K) -> Option<V> {
        let slot = self.index.remove(key.to_pair())?;
        self.slots.take(slot)
    }

    /// The first entry, if any.
    pub(super) fn first(&self) -> Option<(K, &V)> {
        self.iter().next()
    }

    /// Takes out the first entry, if any.
    pub(super) fn pop_first(&mut self) -> Option<(K, V)> {
        let (key, slot) = self.index.first_from(FIRST)?;
        self.index.remove(key);
        Some((K::from_pair(key), self.slots.take(slot)?))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (K, &V)> {
        self.between(FIRST, LAST)
    }

    /// The entries between two keys, both included.
    pub(super) fn range(&self, from: K, to: K) -> impl Iterator<Item = (K, &V)> {
        self.between(from.to_pair(), to.to_pair())
    }

    fn between(&self, from: Pair, to: Pair) -> impl Iterator<Item = (K, &V)> {
        let mut next = Some(from);
        core::iter::from_fn(move || {
            let (key, slot) = self.index.first_from(next?)?;
            next = after(key);
            let value = self.slots.get(slot)?;
            (key <= to).then(|| (K::from_pair(key), value))
        })
    }

    /// The entries from the last one down to a key, which is included.
    pub(super) fn down_to(&self, to: K) -> impl Iterator<Item = (K, &V)> {
        let (mut next, to) = (Some(LAST), to.to_pair());
        core::iter::from_fn(move || {
            let (key, slot) = self.index.last_to(next?)?;
            next = before(key);
            let value = self.slots.get(slot)?;
            (key >= to).then(|| (K::from_pair(key), value))
        })
    }

    /// The values, in no order.
    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.slots.values.iter().flatten()
    }
}

const fn after([high, low]: Pair) -> Option<Pair> {
    match (low.checked_add(1), high.checked_add(1)) {
        (Some(low), _) => Some([high, low]),
        (None, Some(high)) => Some([high, 0]),
        (None, None) => None,
    }
}

const fn before([high, low]: Pair) -> Option<Pair> {
    match (low.checked_sub(1), high.checked_sub(1)) {
        (Some(low), _) => Some([high, low]),
        (None, Some(high)) => Some([high, u64::MAX]),
        (None, None) => None,
    }
}

/// A map whose keys are names.
#[derive(Debug)]
pub(super) struct Names<V> {
    index: BTreeMap<ByteString, u32>,
    slots: Slots<V>,
}

impl<V> Default for Names<V> {
    fn default() -> Self {
        Self { index: BTreeMap::new(), slots: Slots::new() }
    }
}

/// Where the value of a name is.
#[inline(never)]
fn find(index: &BTreeMap<ByteString, u32>, name: &str) -> Option<u32> {
    index.get(name).copied()
}

#[inline(never)]
fn put(index: &mut BTreeMap<ByteString, u32>, name: ByteString, slot: u32) {
    index.insert(name, slot);
}

#[inline(never)]
fn forget(index: &mut BTreeMap<ByteString, u32>, name: &str) -> Option<u32> {
    index.remove(name)
}

impl<V> Names<V> {
    pub(super) const fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn get(&self, name: &str) -> Option<&V> {
        self.slots.get(find(&self.index, name)?)
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut V> {
        self.slots.get_mut(find(&self.index, name)?)
    }

    /// Puts a value in, instead of the one that was there.
    pub(super) fn insert(&mut self, name: ByteString, value: V) {
        if let Some(slot) = find(&self.index, &name) {
            self.slots.values[slot as usize] = Some(value);
        } else {
            let slot = self.slots.put(value);
            put(&mut self.index, name, slot);
        }
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<V> {
        let slot = forget(&mut self.index, name)?;
        self.slots.take(slot)
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.slots.values.iter_mut().flatten()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&ByteString, &V)> {
        self.index.iter().filter_map(|(name, slot)| Some((name, self.slots.get(*slot)?)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_table_is_a_map(ops in prop::collection::vec((0u8..4, 0u64..24, any::<u16>()), 0..200)) {
            let (mut table, mut model) = (Table::default(), BTreeMap::new());
            let (mut names, mut named) = (Names::default(), BTreeMap::new());
            for (op, key, value) in ops {
                let name = ByteString::from(key.to_string());
                match op {
                    0 | 1 => {
                        table.insert(key, value);
                        model.insert(key, value);
                        names.insert(name.clone(), value);
                        named.insert(name.clone(), value);
                    }
                    2 => {
                        prop_assert_eq!(table.remove(key), model.remove(&key));
                        prop_assert_eq!(names.remove(&name), named.remove(&name));
                    }
                    _ => {
                        prop_assert_eq!(table.pop_first(), model.pop_first());
                    }
                }
                prop_assert_eq!(table.get(key), model.get(&key));
                prop_assert_eq!(table.contains(key), model.contains_key(&key));
                prop_assert_eq!(names.get(&name), named.get(&name));
                prop_assert_eq!((table.len(), names.len()), (model.len(), named.len()));
            }
            let all: Vec<_> = model.iter().map(|(key, value)| (*key, value)).collect();
            prop_assert_eq!(table.iter().collect::<Vec<_>>(), all.clone());
            prop_assert_eq!(table.first(), all.first().copied());
            let some: Vec<_> = model.range(5..=15).map(|(key, value)| (*key, value)).collect();
            prop_assert_eq!(table.range(5, 15).collect::<Vec<_>>(), some);
            let down: Vec<_> = model.range(10..).rev().map(|(key, value)| (*key, value)).collect();
            prop_assert_eq!(table.down_to(10).collect::<Vec<_>>(), down);
            prop_assert_eq!(names.iter().collect::<Vec<_>>(), named.iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn keys_are_in_order_and_come_back() {
        let mut keys: Vec<_> = Priority::ALL
            .into_iter()
            .flat_map(|priority| [3, 0, u64::MAX].map(|n| (Reverse(priority), n)))
            .collect();
        let mut table = Table::default();
        for key in &keys {
            table.insert(*key, ());
        }
        keys.sort_unstable();
        assert_eq!(table.iter().map(|(key, ())| key).collect::<Vec<_>>(), keys);
    }
}
