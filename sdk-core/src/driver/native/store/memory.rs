use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::super::random;
use super::{OutboxStore, StoreError};
use crate::client::{Restored, Sequence, StoreOp, StoredCall};
use crate::protocol::Payload;

/// Keeps calls as long as the process lives. Clones share what is kept, so a connection that is made anew goes on with
/// the calls of the one before.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug)]
struct Kept {
    client_id: String,
    calls: BTreeMap<Sequence, StoredCall<Payload>>,
    next: Sequence,
}

impl Default for Kept {
    fn default() -> Self {
        let client_id = random::client_id(random::number(), random::number());
        Self { client_id, calls: BTreeMap::new(), next: Sequence::default() }
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }
}

impl OutboxStore for MemoryStore {
    fn load(&mut self) -> Result<Restored<Payload>, StoreError> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let calls = kept.calls.iter().map(|(sequence, call)| (*sequence, call.clone())).collect();
        Ok(Restored { calls, next: kept.next, client_id: kept.client_id.clone() })
    }

    fn apply(&mut self, batch: &[StoreOp<Payload>]) -> Result<(), StoreError> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        for op in batch {
            match op {
                StoreOp::Put(sequence, call) => {
                    kept.next = kept.next.max(Sequence(sequence.0.saturating_add(1)));
                    kept.calls.insert(*sequence, call.clone());
                }
                StoreOp::Delete(sequence) => {
                    kept.calls.remove(sequence);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Time;
    use crate::client::{CallKind, Priority};
    use crate::protocol::Encoding;

    fn call(target: &'static str) -> StoredCall<Payload> {
        StoredCall {
            kind: CallKind::Send,
            target: target.into(),
            arguments: Payload::no_arguments(Encoding::Json),
            priority: Priority::Normal,
            supersede_key: None,
            queued_at: Time::ZERO,
            expires_at: None,
        }
    }

    #[test]
    fn a_clone_restores_what_the_first_kept() {
        let mut store = MemoryStore::new();
        let mut next_process = store.clone();
        let empty = store.load().unwrap();
        assert_eq!((empty.calls.len(), empty.next), (0, Sequence(0)));
        let puts = [4, 2, 7].map(|sequence| StoreOp::Put(Sequence(sequence), call("M")));
        store.apply(&puts).unwrap();
        store.apply(&[StoreOp::Delete(Sequence(7)), StoreOp::Delete(Sequence(99))]).unwrap();
        let restored = next_process.load().unwrap();
        assert_eq!(restored.calls, [(Sequence(2), call("M")), (Sequence(4), call("M"))]);
        assert_eq!(restored.client_id, empty.client_id);
        assert_ne!(MemoryStore::new().load().unwrap().client_id, empty.client_id);
        assert_eq!(restored.next, Sequence(8), "a deleted sequence is not used again");
    }
}
