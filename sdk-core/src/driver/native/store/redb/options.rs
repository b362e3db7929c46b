use std::path::Path;

use super::{RedbStore, StoreError};

/// How a [`RedbStore`] is opened.
#[derive(Clone, Debug)]
#[must_use = "options do nothing until `open`"]
pub struct RedbStoreOptions {
    pub(super) max_bytes: u64,
    pub(super) when_corrupt: WhenCorrupt,
}

/// What opening does with a damaged file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenCorrupt {
    /// Renames it to `<name>.corrupt-<n>`, reports that, and goes on with an empty store.
    #[default]
    SetAside,
    /// Fails and leaves it where it is.
    Fail,
}

/// The database makes an empty file of more than a megabyte, and doubles it.
const SMALLEST: u64 = 4 << 20;

impl Default for RedbStoreOptions {
    fn default() -> Self {
        Self { max_bytes: 64 << 20, when_corrupt: WhenCorrupt::default() }
    }
}

impl RedbStoreOptions {
    /// What the file may grow to, in bytes; 64 MiB unless set, 4 MiB at least. An eighth of it at least is room for
    /// calls: pages are copied before they are changed, and not every page is full. Deleting is never refused, and may
    /// go beyond it.
    pub const fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// What happens to a damaged file: [`WhenCorrupt::SetAside`] unless set.
    pub const fn when_corrupt(mut self, when: WhenCorrupt) -> Self {
        self.when_corrupt = when;
        self
    }

    /// Opens the file, or makes it. Blocks.
    ///
    /// # Errors
    /// As [`RedbStore::open`], and [`StoreError::Invalid`] for an option that cannot work.
    pub fn open(self, path: impl AsRef<Path>) -> Result<RedbStore, StoreError> {
        RedbStore::open_path(path.as_ref(), self)
    }

    pub(super) fn check(&self) -> Result<(), StoreError> {
        if self.max_bytes < SMALLEST {
            return Err(StoreError::Invalid(format!("max_bytes must be at least {SMALLEST}")));
        }
        Ok(())
    }

    /// How much of [`cost`](super::cost) may be in the file. It doubles when it grows, so it stops growing somewhere
    /// above half its bound.
    pub(super) const fn capacity(&self) -> u64 {
        self.max_bytes / 2 - (512 << 10)
    }
}
