//! Maps by number and by name. All of them share the code of one ordered list: each kind of B-tree would be kilobytes
//! more of WebAssembly.

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

impl Key for () {
    fn to_pair(self) -> Pair {
        FIRST
    }

    fn from_pair(_: Pair) -> Self {}
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

/// How long a list is at most: short enough to be moved about, long enough that there are few of them. Tests are to see
/// many.
const LONGEST: usize = if cfg!(test) { 4 } else { 128 };

/// So many slots are kept when they are empty.
const KEPT: usize = LONGEST / 2;

/// Numbers of slots in the order of their keys, which are elsewhere: short lists, one behind the other, so that no
/// change moves more than one of them.
#[derive(Debug, Default)]
struct Order(Vec<Vec<u32>>);

/// A list, and a place in it.
type Position = (usize, usize);

// Here and below: never inlined, since many kinds of maps share it.
impl Order {
    /// The first position that is not before.
    #[inline(never)]
    fn position(&self, is_before: &dyn Fn(u32) -> bool) -> Position {
        let list = self.0.partition_point(|list| list.last().is_some_and(|last| is_before(*last)));
        let at = self.0.get(list).map_or(0, |list| list.partition_point(|slot| is_before(*slot)));
        (list, at)
    }

    #[inline(never)]
    fn get(&self, (list, at): Position) -> Option<u32> {
        self.0.get(list)?.get(at).copied()
    }

    /// The one before that position.
    #[inline(never)]
    fn before(&self, (list, at): Position) -> Option<u32> {
        match at.checked_sub(1) {
            Some(at) => self.get((list, at)),
            None => self.0.get(list.checked_sub(1)?)?.last().copied(),
        }
    }

    #[inline(never)]
    fn insert(&mut self, (mut list, mut at): Position, slot: u32) {
        if list == self.0.len() {
            // Behind all the others.
            match self.0.last() {
                Some(last) if last.len() < LONGEST => (list, at) = (list - 1, last.len()),
                _ => self.0.push(Vec::new()),
            }
        } else if self.0[list].len() == LONGEST {
            let half = LONGEST / 2;
            let rest = self.0[list].split_off(half);
            self.0.insert(list + 1, rest);
            if at > half {
                (list, at) = (list + 1, at - half);
            }
        }
        self.0[list].insert(at, slot);
    }

    #[inline(never)]
    fn remove(&mut self, (list, at): Position) {
        self.0[list].remove(at);
        // The last one is kept for the next key.
        if self.0[list].is_empty() && self.0.len() > 1 {
            self.0.remove(list);
        }
    }
}

/// Keys, in their order, and the slot of each: slots are counted from 0 and used again.
#[derive(Debug)]
struct Index<K> {
    order: Order,
    keys: Vec<K>,
    free: Vec<u32>,
}

impl<K> Default for Index<K> {
    fn default() -> Self {
        Self { order: Order::default(), keys: Vec::new(), free: Vec::new() }
    }
}

impl<K> Index<K> {
    const fn len(&self) -> usize {
        self.keys.len() - self.free.len()
    }

    /// The slot for a new key.
    fn add(&mut self, at: Position, key: K) -> u32 {
        let slot = match self.free.pop() {
            Some(slot) => {
                self.keys[slot as usize] = key;
                slot
            }
            None => {
                self.keys.push(key);
                // Memory ends long before.
                u32::try_from(self.keys.len() - 1).unwrap_or(u32::MAX)
            }
        };
        self.order.insert(at, slot);
        slot
    }

    fn take(&mut self, at: Position, slot: u32) {
        self.order.remove(at);
        self.free.push(slot);
        if self.len() == 0 && self.keys.len() > KEPT {
            // What a burst needed is given back.
            *self = Self::default();
        }
    }
}

impl Index<Pair> {
    #[inline(never)]
    fn position(&self, key: Pair) -> Position {
        self.order.position(&|slot| self.keys[slot as usize] < key)
    }

    #[inline(never)]
    fn first_from(&self, key: Pair) -> Option<(Pair, u32)> {
        let slot = self.order.get(self.position(key))?;
        Some((self.keys[slot as usize], slot))
    }

    #[inline(never)]
    fn last_before(&self, key: Option<Pair>) -> Option<(Pair, u32)> {
        let end = key.map_or((self.order.0.len(), 0), |key| self.position(key));
        let slot = self.order.before(end)?;
        Some((self.keys[slot as usize], slot))
    }

    /// Where the key is or would be, and its slot.
    #[inline(never)]
    fn find(&self, key: Pair) -> (Position, Option<u32>) {
        let at = self.position(key);
        (at, self.order.get(at).filter(|slot| self.keys[*slot as usize] == key))
    }

    fn get(&self, key: Pair) -> Option<u32> {
        self.find(key).1
    }

    #[inline(never)]
    fn insert(&mut self, key: Pair) -> u32 {
        let (at, slot) = self.find(key);
        slot.unwrap_or_else(|| self.add(at, key))
    }

    #[inline(never)]
    fn remove(&mut self, key: Pair) -> Option<u32> {
        let (at, slot) = self.find(key);
        self.take(at, slot?);
        slot
    }
}

impl Index<ByteString> {
    /// Where the name is or would be, and its slot.
    #[inline(never)]
    fn find(&self, name: &str) -> (Position, Option<u32>) {
        let at = self.order.position(&|slot| *self.keys[slot as usize] < *name);
        (at, self.order.get(at).filter(|slot| *self.keys[*slot as usize] == *name))
    }

    fn get(&self, name: &str) -> Option<u32> {
        self.find(name).1
    }

    #[inline(never)]
    fn insert(&mut self, name: ByteString) -> u32 {
        let (at, slot) = self.find(&name);
        slot.unwrap_or_else(|| self.add(at, name))
    }

    #[inline(never)]
    fn remove(&mut self, name: &str) -> Option<u32> {
        let (at, slot) = self.find(name);
        self.take(at, slot?);
        slot
    }
}

/// The values of an index, by slot.
type Slots<V> = Vec<Option<V>>;

fn put<V>(slots: &mut Slots<V>, slot: u32, value: V) {
    let slot = slot as usize;
    if slot == slots.len() {
        slots.push(None);
    }
    slots[slot] = Some(value);
}

fn take<V>(slots: &mut Slots<V>, slot: u32, left: usize) -> Option<V> {
    let value = slots.get_mut(slot as usize)?.take();
    if left == 0 && slots.len() > KEPT {
        *slots = Slots::new();
    }
    value
}

/// Pairs by pairs, in their order.
#[derive(Debug, Default)]
struct Pairs {
    index: Index<Pair>,
    values: Vec<Pair>,
}

impl Pairs {
    #[inline(never)]
    fn get(&self, key: Pair) -> Option<Pair> {
        self.values.get(self.index.get(key)? as usize).copied()
    }

    #[inline(never)]
    fn insert(&mut self, key: Pair, value: Pair) {
        let slot = self.index.insert(key) as usize;
        if slot == self.values.len() {
            self.values.push(value);
        } else {
            self.values[slot] = value;
        }
    }

    #[inline(never)]
    fn remove(&mut self, key: Pair) -> Option<Pair> {
        let slot = self.index.remove(key)?;
        let value = self.values.get(slot as usize).copied();
        if self.index.keys.is_empty() {
            self.values = Vec::new();
        }
        value
    }
}

/// A map of numbers by numbers, in the order of the keys.
#[derive(Debug)]
pub(super) struct Numbers<K, V> {
    pairs: Pairs,
    types: PhantomData<(K, V)>,
}

impl<K, V> Default for Numbers<K, V> {
    #[inline(never)]
    fn default() -> Self {
        Self { pairs: Pairs::default(), types: PhantomData }
    }
}

impl<K: Key, V: Key> Numbers<K, V> {
    pub(super) const fn len(&self) -> usize {
        self.pairs.index.len()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn contains(&self, key: K) -> bool {
        self.get(key).is_some()
    }

    pub(super) fn get(&self, key: K) -> Option<V> {
        self.pairs.get(key.to_pair()).map(V::from_pair)
    }

    /// Puts a value in, instead of the one that was there.
    pub(super) fn insert(&mut self, key: K, value: V) {
        self.pairs.insert(key.to_pair(), value.to_pair());
    }

    pub(super) fn remove(&mut self, key: K) -> Option<V> {
        self.pairs.remove(key.to_pair()).map(V::from_pair)
    }

    /// The first key, if any.
    pub(super) fn first(&self) -> Option<K> {
        self.pairs.index.first_from(FIRST).map(|(key, _)| K::from_pair(key))
    }

    /// Takes out the first key, if any.
    pub(super) fn pop_first(&mut self) -> Option<K> {
        let key = self.first()?;
        self.remove(key);
        Some(key)
    }
}

/// A map whose keys are numbers, in their order.
pub(super) struct Table<K, V> {
    index: Index<Pair>,
    slots: Slots<V>,
    keys: PhantomData<K>,
}

impl<K, V> Default for Table<K, V> {
    #[inline(never)]
    fn default() -> Self {
        Self { index: Index::default(), slots: Slots::new(), keys: PhantomData }
    }
}

impl<K, V: fmt::Debug> fmt::Debug for Table<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slots = self.index.order.0.iter().flatten().map(|slot| *slot as usize);
        f.debug_map().entries(slots.map(|slot| (self.index.keys[slot], &self.slots[slot]))).finish()
    }
}

impl<K: Key, V> Table<K, V> {
    pub(super) const fn len(&self) -> usize {
        self.index.len()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.index.len() == 0
    }

    pub(super) fn contains(&self, key: K) -> bool {
        self.index.get(key.to_pair()).is_some()
    }

    pub(super) fn get(&self, key: K) -> Option<&V> {
        self.slots.get(self.index.get(key.to_pair())? as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, key: K) -> Option<&mut V> {
        self.slots.get_mut(self.index.get(key.to_pair())? as usize)?.as_mut()
    }

    /// Puts a value in, instead of the one that was there.
    #[inline(never)]
    pub(super) fn insert(&mut self, key: K, value: V) {
        put(&mut self.slots, self.index.insert(key.to_pair()), value);
    }

    #[inline(never)]
    pub(super) fn remove(&mut self, key: K) -> Option<V> {
        let slot = self.index.remove(key.to_pair())?;
        take(&mut self.slots, slot, self.index.len())
    }

    /// The first entry, if any.
    pub(super) fn first(&self) -> Option<(K, &V)> {
        self.entry(self.index.first_from(FIRST))
    }

    /// Takes out the first entry, if any.
    pub(super) fn pop_first(&mut self) -> Option<(K, V)> {
        let key = K::from_pair(self.index.first_from(FIRST)?.0);
        Some((key, self.remove(key)?))
    }

    fn entry(&self, found: Option<(Pair, u32)>) -> Option<(K, &V)> {
        let (key, slot) = found?;
        Some((K::from_pair(key), self.slots.get(slot as usize)?.as_ref()?))
    }

    /// The first entry that is not before the key.
    pub(super) fn from(&self, key: K) -> Option<(K, &V)> {
        self.entry(self.index.first_from(key.to_pair()))
    }

    /// The first entry behind the key.
    pub(super) fn after(&self, key: K) -> Option<(K, &V)> {
        self.entry(self.index.first_from(after(key.to_pair())?))
    }

    /// The last entry before the key, or of all.
    pub(super) fn before(&self, key: Option<K>) -> Option<(K, &V)> {
        self.entry(self.index.last_before(key.map(K::to_pair)))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (K, &V)> {
        let mut next = self.first();
        core::iter::from_fn(move || {
            let entry = next?;
            next = self.after(entry.0);
            Some(entry)
        })
    }

    /// The keys of some values, in their order.
    pub(super) fn find(&self, is_wanted: impl Fn(&V) -> bool) -> Vec<K> {
        let mut keys = Vec::new();
        for (key, value) in self.iter() {
            if is_wanted(value) {
                keys.push(key);
            }
        }
        keys
    }

    /// Whether there is such a value.
    pub(super) fn any(&self, is_wanted: impl Fn(&V) -> bool) -> bool {
        self.slots.iter().any(|slot| slot.as_ref().is_some_and(&is_wanted))
    }
}

const fn after([high, low]: Pair) -> Option<Pair> {
    match (low.checked_add(1), high.checked_add(1)) {
        (Some(low), _) => Some([high, low]),
        (None, Some(high)) => Some([high, 0]),
        (None, None) => None,
    }
}

/// A map whose keys are names, in their order.
#[derive(Debug)]
pub(super) struct Names<V> {
    index: Index<ByteString>,
    slots: Slots<V>,
}

impl<V> Default for Names<V> {
    #[inline(never)]
    fn default() -> Self {
        Self { index: Index::default(), slots: Slots::new() }
    }
}

impl<V> Names<V> {
    pub(super) const fn len(&self) -> usize {
        self.index.len()
    }

    pub(super) fn get(&self, name: &str) -> Option<&V> {
        self.slots.get(self.index.get(name)? as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut V> {
        self.slots.get_mut(self.index.get(name)? as usize)?.as_mut()
    }

    /// Puts a value in, instead of the one that was there.
    pub(super) fn insert(&mut self, name: ByteString, value: V) {
        put(&mut self.slots, self.index.insert(name), value);
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<V> {
        let slot = self.index.remove(name)?;
        take(&mut self.slots, slot, self.index.len())
    }

    /// Changes all values, in no order.
    pub(super) fn change_all(&mut self, mut change: impl FnMut(&mut V)) {
        for value in self.slots.iter_mut().flatten() {
            change(value);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&ByteString, &V)> {
        let mut at = (0, 0);
        core::iter::from_fn(move || {
            let order = &self.index.order;
            let slot = order.get(at).or_else(|| {
                at = (at.0 + 1, 0);
                order.get(at)
            })? as usize;
            at.1 += 1;
            Some((&self.index.keys[slot], self.slots[slot].as_ref()?))
        })
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
            let mut numbers = Numbers::default();
            for (op, key, value) in ops {
                let name = ByteString::from(key.to_string());
                match op {
                    0 | 1 => {
                        table.insert(key, value);
                        numbers.insert(key, u64::from(value));
                        model.insert(key, value);
                        names.insert(name.clone(), value);
                        named.insert(name.clone(), value);
                    }
                    2 => {
                        prop_assert_eq!(table.remove(key), model.get(&key).copied());
                        prop_assert_eq!(numbers.remove(key), model.remove(&key).map(u64::from));
                        prop_assert_eq!(names.remove(&name), named.remove(&name));
                    }
                    _ => {
                        let first = model.pop_first();
                        prop_assert_eq!(table.pop_first(), first);
                        prop_assert_eq!(numbers.pop_first(), first.map(|(key, _)| key));
                    }
                }
                prop_assert_eq!(table.get(key), model.get(&key));
                prop_assert_eq!(table.contains(key), model.contains_key(&key));
                prop_assert_eq!(numbers.get(key), model.get(&key).map(|value| u64::from(*value)));
                prop_assert_eq!((numbers.len(), numbers.first()), (table.len(), table.first().map(|(key, _)| key)));
                prop_assert_eq!(names.get(&name), named.get(&name));
                prop_assert_eq!((table.len(), names.len()), (model.len(), named.len()));
            }
            let all: Vec<_> = model.iter().map(|(key, value)| (*key, value)).collect();
            prop_assert_eq!(table.iter().collect::<Vec<_>>(), all.clone());
            prop_assert_eq!(table.first(), all.first().copied());
            for key in 0..25 {
                prop_assert_eq!(table.from(key), model.range(key..).next().map(|(key, value)| (*key, value)));
                prop_assert_eq!(table.after(key), model.range(key + 1..).next().map(|(key, value)| (*key, value)));
                let before = model.range(..key).next_back().map(|(key, value)| (*key, value));
                prop_assert_eq!(table.before(Some(key)), before);
            }
            prop_assert_eq!(table.before(None), all.last().copied());
            let odd: Vec<_> = all.iter().filter(|(_, value)| **value % 2 == 1).map(|(key, _)| *key).collect();
            prop_assert_eq!(table.find(|value| value % 2 == 1), odd);
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
