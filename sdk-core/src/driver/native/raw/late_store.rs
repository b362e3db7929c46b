use crate::client::{Restored, StoreOp};
use crate::driver::native::{OutboxStore, RedbStore, StoreError, StoreReport};
use crate::protocol::Payload;

/// A [`RedbStore`] that is opened when it is read: on a thread that may block, and not where the connection is made.
#[derive(Debug)]
pub struct LateStore {
    path: String,
    store: Option<RedbStore>,
}

impl LateStore {
    /// Of that file, which need not be there yet.
    pub const fn new(path: String) -> Self {
        Self { path, store: None }
    }
}

impl OutboxStore for LateStore {
    fn load(&mut self) -> Result<Restored<Payload>, StoreError> {
        self.store.insert(RedbStore::open(&self.path)?).load()
    }

    fn apply(&mut self, batch: &[StoreOp<Payload>]) -> Result<(), StoreError> {
        match &mut self.store {
            Some(store) => store.apply(batch),
            None => Err(StoreError::Invalid("The store was not opened.".to_owned())),
        }
    }

    fn take_reports(&mut self) -> Vec<StoreReport> {
        self.store.as_mut().map(OutboxStore::take_reports).unwrap_or_default()
    }
}
