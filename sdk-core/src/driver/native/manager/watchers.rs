use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::super::connection::StateChange;

type Watcher = Arc<dyn Fn(&str, &StateChange) + Send + Sync>;

/// Who wants to know of the states of all hubs.
#[derive(Default)]
pub(super) struct Watchers {
    list: Mutex<List>,
}

#[derive(Default)]
struct List {
    watchers: Vec<(u64, Watcher)>,
    next: u64,
}

impl Watchers {
    fn list(&self) -> MutexGuard<'_, List> {
        // No user code runs under the lock, so a panic cannot leave it half changed.
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(
        self: &Arc<Self>,
        watcher: impl Fn(&str, &StateChange) + Send + Sync + 'static,
    ) -> HubSubscription {
        let mut list = self.list();
        list.next += 1;
        let id = list.next;
        list.watchers.push((id, Arc::new(watcher)));
        HubSubscription { watchers: Arc::downgrade(self), id }
    }

    pub(super) fn tell(&self, path: &str, change: &StateChange) {
        let watchers = self.list().watchers.clone();
        for (_, watcher) in watchers {
            watcher(path, change);
        }
    }
}

/// A function registered with [`HubManager::on_state_change`](super::HubManager::on_state_change). Dropping this changes
/// nothing; [`unsubscribe`](Self::unsubscribe) removes the function.
pub struct HubSubscription {
    watchers: Weak<Watchers>,
    id: u64,
}

impl HubSubscription {
    /// Removes the function. A call of it that runs already goes on.
    pub fn unsubscribe(self) {
        if let Some(watchers) = self.watchers.upgrade() {
            let mut list = watchers.list();
            let index = list.watchers.iter().position(|(id, _)| *id == self.id);
            let removed = index.map(|index| list.watchers.remove(index));
            drop(list);
            // Without the lock: what it captured may call back.
            drop(removed);
        }
    }
}

impl fmt::Debug for HubSubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubSubscription").field("id", &self.id).finish_non_exhaustive()
    }
}
