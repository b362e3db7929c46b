use std::collections::BTreeMap;

use parking_lot::Mutex;

use super::{Change, DeliveryStore, Loaded, StoreError};

/// Values by table and key.
type Records = BTreeMap<(String, Vec<u8>), Vec<u8>>;

/// Keeps records as long as it lives: for tests. Share it in an `Arc` to give it to one server after the other.
#[derive(Debug, Default)]
pub struct MemoryStore {
    records: Mutex<Records>,
}

impl MemoryStore {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }
}

impl DeliveryStore for MemoryStore {
    fn load(&self, table: &str) -> Result<Loaded, StoreError> {
        let records = self.records.lock();
        let own = records.iter().filter(|((of, _), _)| of == table);
        let records = own.map(|((_, key), value)| (key.clone(), value.clone())).collect();
        Ok(Loaded { records, set_aside: 0 })
    }

    fn apply(&self, changes: &[Change]) -> Result<(), StoreError> {
        let mut records = self.records.lock();
        for change in changes {
            match change {
                Change::Put { table, key, value } => {
                    records.insert((table.to_string(), key.clone()), value.clone());
                }
                Change::Delete { table, key } => {
                    records.remove(&(table.to_string(), key.clone()));
                }
            }
        }
        Ok(())
    }
}
