use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::Principal;

/// Who a connection belongs to. The user stays the same, what the token says may change while it is open.
pub(crate) struct Identity {
    principal: Mutex<Arc<Principal>>,
    announcement: Option<Announcement>,
}

/// What a client said of itself: it reads what only Hubwire servers send.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Announcement {
    /// The secret name of the client, the same on each of its connections.
    pub(crate) client_id: Option<Arc<str>>,
}

impl fmt::Debug for Announcement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Announcement(..)")
    }
}

impl Identity {
    pub(crate) fn new(principal: Principal, announcement: Option<Announcement>) -> Arc<Self> {
        Arc::new(Self { principal: Mutex::new(Arc::new(principal)), announcement })
    }

    /// Whether the client announced itself with `hubwire=1` in its query.
    pub(crate) const fn is_announced(&self) -> bool {
        self.announcement.is_some()
    }

    /// The secret name of the client, if it gave one.
    pub(crate) fn client_id(&self) -> Option<&Arc<str>> {
        self.announcement.as_ref()?.client_id.as_ref()
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
