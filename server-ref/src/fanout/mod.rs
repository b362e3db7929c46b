//! Messages to several clients where it matters in which order each of them sees what: streams with history, batches,
//! and objects that are sent as changes.

mod batching;
mod deltas;
mod encoded;
mod envelope;
mod history;

#[cfg(test)]
mod tests;

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use bytestring::ByteString;
use hubwire::protocol::Feature;
use parking_lot::{Mutex, MutexGuard};

pub use batching::{BatchingStatistics, HubBatching};
pub use deltas::DeltaKey;
pub use envelope::Importance;

use crate::connection::Connection;
use crate::delivery::batcher::Batching;
use crate::endpoint::{Clock, Endpoint};
use crate::options::HubOptions;
use crate::registry::{GroupChange, Target};
use batching::Batches;
use deltas::Objects;
use history::Keeper;

/// What one hub needs for it.
#[derive(Debug)]
pub(crate) struct Fanout {
    order: Order,
    /// If the hub has [`HubOptions::history`].
    history: Option<Arc<Keeper>>,
    batches: Batches,
    /// If the hub has [`HubOptions::deltas`].
    objects: Option<Objects>,
}

impl Fanout {
    pub(crate) fn new(options: &HubOptions, batching: Batching, clock: Clock) -> Self {
        Self {
            order: Order::default(),
            history: options.history.and_then(|limits| Keeper::new(limits, clock)),
            batches: Batches::new(batching, clock),
            objects: options.deltas.map(Objects::new),
        }
    }

    /// Whether clients can ask for what they missed.
    pub(crate) const fn has_history(&self) -> bool {
        self.history.is_some()
    }

    /// What Hubwire clients can use of it.
    pub(crate) fn features(&self) -> impl Iterator<Item = Feature> + use<> {
        let history = self.has_history().then_some(Feature::History);
        history.into_iter().chain(self.has_deltas().then_some(Feature::Delta))
    }

    /// Adds a connection to a group. Nothing that goes to the group comes between that and what the connection is told
    /// about it.
    pub(crate) fn join(&self, endpoint: &Endpoint, id: &str, group: &str, limit: usize) -> GroupChange {
        let connection = endpoint.registry.connection(id).filter(|connection| self.greets(connection));
        let Some(connection) = connection else { return endpoint.registry.add_to_group(id, group, limit) };
        let destination = group_destination(group);
        let _order = self.order.lock(&destination);
        let change = endpoint.registry.add_to_group(id, group, limit);
        if change == GroupChange::Done {
            self.greet(&connection, &destination);
        }
        change
    }

    /// As [`join`](Self::join), for the connections of a user.
    pub(crate) fn connect<R>(&self, connection: &Connection, add: impl FnOnce() -> R) -> R {
        let principal = connection.identity.principal();
        let Some(user) = principal.user_id().filter(|_| self.greets(connection)) else { return add() };
        let destination = user_destination(user);
        let _order = self.order.lock(&destination);
        let added = add();
        self.greet(connection, &destination);
        added
    }

    /// Others would take it for a call of a method that they do not have.
    fn greets(&self, connection: &Connection) -> bool {
        connection.identity.is_announced() && (self.has_history() || self.has_deltas())
    }

    fn greet(&self, connection: &Connection, destination: &ByteString) {
        if let Some(history) = &self.history {
            history.tell_position(connection, destination);
        }
        if let Some(objects) = &self.objects {
            objects.send_all(connection, destination);
        }
    }
}

/// What has an order of its own: a group or a user.
pub(crate) fn destination(target: &Target) -> Option<ByteString> {
    match target {
        Target::Group(group) => Some(group_destination(group)),
        Target::Users(users) => match &users[..] {
            [user] => Some(user_destination(user)),
            _ => None,
        },
        _ => None,
    }
}

fn group_destination(group: &str) -> ByteString {
    format!("group:{group}").into()
}

fn user_destination(user: &str) -> ByteString {
    format!("user:{user}").into()
}

/// All destinations whose messages go to that connection.
fn destinations(endpoint: &Endpoint, connection: &Connection) -> Vec<ByteString> {
    let groups = endpoint.registry.groups_of(connection.key);
    let principal = connection.identity.principal();
    let user = principal.user_id().map(user_destination);
    groups.iter().map(|group| group_destination(group)).chain(user).collect()
}

/// Whether what goes to a destination goes to that connection.
pub(crate) fn is_subscribed(endpoint: &Endpoint, connection: &Connection, destination: &str) -> bool {
    match destination.split_once(':') {
        Some(("group", group)) => endpoint.registry.is_in_group(connection, group),
        Some(("user", user)) => connection.identity.principal().user_id() == Some(user),
        _ => false,
    }
}

/// Locks, one of which covers a destination: its members, and what they get.
struct Order {
    locks: Box<[Mutex<()>]>,
    hasher: RandomState,
}

/// As many as would hardly ever be held at once.
const LOCKS: usize = 64;

impl Default for Order {
    fn default() -> Self {
        Self { locks: (0..LOCKS).map(|_| Mutex::default()).collect(), hasher: RandomState::new() }
    }
}

impl Order {
    /// Taken for one destination at a time, and before every lock of what is behind it.
    fn lock(&self, destination: &str) -> MutexGuard<'_, ()> {
        let index = self.hasher.hash_one(destination) as usize % LOCKS;
        self.locks[index].lock()
    }
}

impl fmt::Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Order")
    }
}
