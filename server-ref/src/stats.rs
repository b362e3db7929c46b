//! Counters and recent events, for the status page.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use serde::Serialize;

/// Totals of one hub.
#[derive(Debug, Default)]
pub(crate) struct HubStats {
    received: AtomicU64,
    sent: AtomicU64,
    opened: AtomicU64,
}

impl HubStats {
    pub(crate) fn received(&self) {
        self.received.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn sent(&self, messages: u64) {
        self.sent.fetch_add(messages, Ordering::Relaxed);
    }

    pub(crate) fn opened(&self) {
        self.opened.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn totals(&self) -> (u64, u64, u64) {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (load(&self.received), load(&self.sent), load(&self.opened))
    }
}

/// What happened lately. Names and ids only: never payloads, tokens or the ids that open connections.
#[derive(Debug)]
pub(crate) struct EventLog {
    capacity: usize,
    events: Mutex<VecDeque<Event>>,
}

/// One line of the status page.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Milliseconds since 1970.
    pub at: u64,
    /// The path of the hub.
    pub hub: String,
    /// What happened.
    pub what: &'static str,
    /// To whom: the user, where there is one.
    pub user: Option<String>,
    /// Details, such as the reason of a disconnect.
    pub detail: Option<&'static str>,
}

impl EventLog {
    pub(crate) const fn new(capacity: usize) -> Self {
        Self { capacity, events: Mutex::new(VecDeque::new()) }
    }

    pub(crate) fn push(
        &self,
        hub: &str,
        what: &'static str,
        user: Option<&str>,
        detail: Option<&'static str>,
    ) {
        if self.capacity == 0 {
            return;
        }
        let event = Event { at: now_millis(), hub: hub.into(), what, user: user.map(Into::into), detail };
        let mut events = self.events.lock();
        if events.len() >= self.capacity {
            events.pop_front();
        }
        events.push_back(event);
    }

    /// The newest first.
    pub(crate) fn recent(&self) -> Vec<Event> {
        self.events.lock().iter().rev().cloned().collect()
    }
}

pub(crate) fn now_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
