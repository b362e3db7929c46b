use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::Principal;

/// Who a connection belongs to. The user stays the same, what the token says may change while it is open.
pub(crate) struct Identity {
    principal: Mutex<Arc<Principal>>,
    /// The client reads what only Hubwire servers send.
    announced: bool,
}

impl Identity {
    pub(crate) fn new(principal: Principal, announced: bool) -> Arc<Self> {
        Arc::new(Self { principal: Mutex::new(Arc::new(principal)), announced })
    }

    /// Whether the client announced itself with `hubwire=1` in its query.
    pub(crate) const fn is_announced(&self) -> bool {
        self.announced
    }

    /// What the latest token says.
    pub(crate) fn principal(&self) -> Arc<Principal> {
        self.principal.lock().clone()
    }

    /// Takes the principal of a newer token. `false` if it is of somebody else.
    pub(crate) fn renew(&self, principal: Principal) -> bool {
        let mut own = self.principal.lock();
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
