use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::client::HubId;

/// Shows a manager that somebody holds one of its connections: every handle that it gives out has one, and so has
/// whatever is made from that handle.
#[derive(Debug)]
pub(in crate::driver) struct Lease {
    hub: HubId,
    releases: Arc<Releases>,
}

/// The leases that have ended since the manager looked last. It may be the manager itself that drops a handle: nothing
/// else is locked here.
#[derive(Debug, Default)]
pub(super) struct Releases {
    ended: Mutex<Vec<HubId>>,
    /// Rings for the manager's task.
    pub(super) wake: Notify,
}

impl Lease {
    pub(super) const fn new(hub: HubId, releases: Arc<Releases>) -> Self {
        Self { hub, releases }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.releases.ended.lock().unwrap_or_else(PoisonError::into_inner).push(self.hub);
        self.releases.wake.notify_one();
    }
}

impl Releases {
    pub(super) fn take(&self) -> Vec<HubId> {
        std::mem::take(&mut *self.ended.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
