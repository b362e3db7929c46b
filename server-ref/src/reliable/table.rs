//! The part of the store that belongs to one hub.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use super::content::Content;
use super::record::{self, Record};
use crate::delivery::pending::{DeadLetter, StoreOp, StoredEntry};
use crate::store::{Change, DeliveryStore, StoreError};

/// Where a hub keeps its messages.
#[derive(Clone)]
pub(super) struct Table {
    store: Arc<dyn DeliveryStore>,
    name: Arc<str>,
}

/// What was not confirmed.
type RestoredEntries = Vec<StoredEntry<Arc<Content>>>;
/// What could not be delivered.
type RestoredLetters = Vec<DeadLetter<Arc<Content>>>;

impl Table {
    pub(super) fn new(store: Arc<dyn DeliveryStore>, hub: &str) -> Self {
        Self { store, name: format!("deliveries {hub}").into() }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Everything the store has for the hub. What cannot be read is set aside.
    pub(super) fn restore(&self) -> Result<(RestoredEntries, RestoredLetters), StoreError> {
        let (mut entries, mut letters, mut aside) = (Vec::new(), Vec::new(), Vec::new());
        for (key, value) in self.store.load(&self.name)?.records {
            match record::decode(&key, value.clone()) {
                // The highest number is for nobody, so that there is always a next one.
                Ok(record) if record.entry().0 == u64::MAX => {}
                Ok(Record::Pending(entry)) => entries.push(entry),
                Ok(Record::Dead(letter)) => letters.push(letter),
                Err(error) => {
                    tracing::error!(
                        table = &*self.name,
                        error,
                        "a stored message cannot be read and is set aside"
                    );
                    let table = Arc::from(format!("{} aside", self.name));
                    aside.push(Change::Put { table, key: key.clone(), value });
                    aside.push(Change::Delete { table: self.name.clone(), key });
                }
            }
        }
        if !aside.is_empty() {
            self.store.apply(&aside)?;
        }
        Ok((entries, letters))
    }

    /// Writes what the engine asks for, all or nothing. Blocks.
    pub(super) fn apply(&self, ops: &[StoreOp<Arc<Content>>]) -> Result<(), String> {
        let changes: Vec<_> = ops.iter().map(|op| record::change(&self.name, op)).collect();
        let apply = AssertUnwindSafe(|| self.store.apply(&changes));
        match std::panic::catch_unwind(apply) {
            Ok(result) => result.map_err(|error| error.to_string()),
            Err(_) => Err("the store panicked".into()),
        }
    }
}
