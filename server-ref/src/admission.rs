use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// How many connections there are, in all and of each user, before the handshake already.
#[derive(Debug)]
pub(crate) struct Admission {
    total_limit: usize,
    user_limit: usize,
    counts: Mutex<Counts>,
    /// Told whenever the last connection ends.
    empty: Notify,
}

#[derive(Debug, Default)]
struct Counts {
    total: usize,
    users: HashMap<Arc<str>, usize>,
}

/// Why there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    Server,
    User,
}

/// The place of one connection; given back when dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    admission: Arc<Admission>,
    user: Option<Arc<str>>,
}

impl Admission {
    pub(crate) fn new(total_limit: usize, user_limit: usize) -> Self {
        Self { total_limit, user_limit, counts: Mutex::default(), empty: Notify::new() }
    }

    pub(crate) fn admit(self: &Arc<Self>, user: Option<&str>) -> Result<Permit, Full> {
        let mut counts = self.counts.lock();
        if counts.total >= self.total_limit {
            return Err(Full::Server);
        }
        let user = match user.map(|user| (user, counts.users.get_key_value(user))) {
            None => None,
            Some((_, Some((_, count)))) if *count >= self.user_limit => return Err(Full::User),
            Some((_, Some((user, _)))) => Some(user.clone()),
            Some((user, None)) => Some(Arc::from(user)),
        };
        counts.total += 1;
        if let Some(user) = &user {
            *counts.users.entry(user.clone()).or_default() += 1;
        }
        Ok(Permit { admission: self.clone(), user })
    }

    pub(crate) fn total(&self) -> usize {
        self.counts.lock().total
    }

    /// Waits until there is no connection.
    pub(crate) async fn emptied(&self) {
        loop {
            let told = self.empty.notified();
            tokio::pin!(told);
            // Before the check, so that an end in between is not missed.
            told.as_mut().enable();
            if self.total() == 0 {
                return;
            }
            told.await;
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self.admission.counts.lock();
        counts.total -= 1;
        if let Some(user) = &self.user
            && let Some(count) = counts.users.get_mut(user)
        {
            *count -= 1;
            if *count == 0 {
                counts.users.remove(user);
            }
        }
        if counts.total == 0 {
            self.admission.empty.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_limits_hold_and_places_come_back() {
        let admission = Arc::new(Admission::new(3, 2));
        let alice = [admission.admit(Some("alice")).unwrap(), admission.admit(Some("alice")).unwrap()];
        assert_eq!(admission.admit(Some("alice")).unwrap_err(), Full::User);
        let nobody = admission.admit(None).unwrap();
        assert_eq!(admission.admit(Some("bob")).unwrap_err(), Full::Server);
        drop(alice);
        drop(nobody);
        assert_eq!(admission.total(), 0);
        assert!(admission.counts.lock().users.is_empty());
    }
}
