use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::Principal;

/// Who a connection belongs to. The user stays the same, what the token says may change while it is open.
pub(crate) struct Identity(Mutex<Arc<Principal>>);

impl Identity {
    pub(crate) fn new(principal: Principal) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Arc::new(principal))))
    }

    /// What the latest token says.
    pub(crate) fn principal(&self) -> Arc<Principal> {
        self.0.lock().clone()
    }

    /// Takes the principal of a newer token. `false` if it is of somebody else.
    pub(crate) fn renew(&self, principal: Principal) -> bool {
        let mut own = self.0.lock();
        let same = own.user_id() == principal.user_id();
        if same {
            *own = Arc::new(principal);
        }
        same
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(..)")
    }
}
