//! A bounded map that forgets what was not used for the longest time.

use alloc::collections::BTreeMap;

/// At most `limit` entries; bounded by nothing else.
#[derive(Debug)]
pub(super) struct Recent<K, V> {
    entries: BTreeMap<K, (u64, V)>,
    /// By the time of the last use, which only grows.
    uses: BTreeMap<u64, K>,
    clock: u64,
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), uses: BTreeMap::new(), clock: 0 }
    }
}

impl<K: Ord + Clone, V> Recent<K, V> {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The entry, as if it had not been used.
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|(_, value)| value)
    }

    /// The entry, which counts as used now.
    pub(super) fn use_mut(&mut self, key: &K) -> Option<&mut V> {
        let (used, value) = self.entries.get_mut(key)?;
        self.uses.remove(used);
        self.clock += 1;
        *used = self.clock;
        self.uses.insert(self.clock, key.clone());
        Some(value)
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        self.remove(&key);
        self.clock += 1;
        self.uses.insert(self.clock, key.clone());
        self.entries.insert(key, (self.clock, value));
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let (used, value) = self.entries.remove(key)?;
        self.uses.remove(&used);
        Some(value)
    }

    /// Forgets the one that was not used for the longest time.
    pub(super) fn pop_oldest(&mut self) -> Option<(K, V)> {
        let (_, key) = self.uses.pop_first()?;
        let (_, value) = self.entries.remove(&key)?;
        Some((key, value))
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.entries.values_mut().map(|(_, value)| value)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter().map(|(key, (_, value))| (key, value))
    }
}

#[cfg(test)]
mod tests {
    use super::Recent;

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut recent = Recent::default();
        for key in ["a", "b", "c"] {
            recent.insert(key, ());
        }
        assert!(recent.use_mut(&"a").is_some());
        recent.insert("b", ());
        assert_eq!(recent.remove(&"x"), None);
        assert_eq!(recent.len(), 3);
        let order: Vec<_> = core::iter::from_fn(|| recent.pop_oldest()).map(|(key, ())| key).collect();
        assert_eq!(order, ["c", "a", "b"]);
        assert!(recent.iter().next().is_none() && recent.uses.is_empty());
    }
}
