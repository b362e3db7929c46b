//! A bounded map that forgets what was not used for the longest time.

use crate::ByteString;

use super::table::{Names, Table};

/// At most `limit` entries; bounded by nothing else.
#[derive(Debug)]
pub(super) struct Recent<V> {
    entries: Names<(u64, V)>,
    /// By the time of the last use, which only grows.
    uses: Table<u64, ByteString>,
    clock: u64,
}

impl<V> Default for Recent<V> {
    fn default() -> Self {
        Self { entries: Names::default(), uses: Table::default(), clock: 0 }
    }
}

impl<V> Recent<V> {
    pub(super) const fn len(&self) -> usize {
        self.entries.len()
    }

    /// The entry, as if it had not been used.
    pub(super) fn get(&self, name: &str) -> Option<&V> {
        self.entries.get(name).map(|(_, value)| value)
    }

    /// The entry, which counts as used now.
    pub(super) fn use_mut(&mut self, name: &str) -> Option<&mut V> {
        let (used, value) = self.entries.get_mut(name)?;
        if let Some(name) = self.uses.remove(*used) {
            self.clock += 1;
            *used = self.clock;
            self.uses.insert(self.clock, name);
        }
        Some(value)
    }

    pub(super) fn insert(&mut self, name: ByteString, value: V) {
        self.remove(&name);
        self.clock += 1;
        self.uses.insert(self.clock, name.clone());
        self.entries.insert(name, (self.clock, value));
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<V> {
        let (used, value) = self.entries.remove(name)?;
        self.uses.remove(used);
        Some(value)
    }

    /// Forgets the one that was not used for the longest time.
    pub(super) fn pop_oldest(&mut self) -> Option<(ByteString, V)> {
        let (_, name) = self.uses.pop_first()?;
        let (_, value) = self.entries.remove(&name)?;
        Some((name, value))
    }

    pub(super) fn change_all(&mut self, mut change: impl FnMut(&mut V)) {
        self.entries.change_all(|(_, value)| change(value));
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&ByteString, &V)> {
        self.entries.iter().map(|(name, (_, value))| (name, value))
    }
}

#[cfg(test)]
mod tests {
    use super::Recent;

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut recent = Recent::default();
        for key in ["a", "b", "c"] {
            recent.insert(key.into(), ());
        }
        assert!(recent.use_mut("a").is_some());
        recent.insert("b".into(), ());
        assert_eq!(recent.remove("x"), None);
        assert_eq!(recent.len(), 3);
        let order: Vec<_> = core::iter::from_fn(|| recent.pop_oldest()).map(|(key, ())| key).collect();
        assert_eq!(order, ["c", "a", "b"]);
        assert!(recent.iter().next().is_none() && recent.uses.is_empty());
    }
}
