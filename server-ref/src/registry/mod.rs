//! Who is connected to a hub: connections, groups and users, and the way to reach them.

mod broadcast;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytestring::ByteString;
use parking_lot::RwLock;

pub(crate) use broadcast::{Broadcast, call, encode};

use crate::connection::Connection;

/// To whom a message goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    All,
    AllExcept(Vec<ByteString>),
    Connections(Vec<ByteString>),
    Group(String),
    GroupExcept(String, Vec<ByteString>),
    Groups(Vec<String>),
    Users(Vec<String>),
}

impl Target {
    /// Whether it means a group without a name.
    pub(crate) fn is_nameless(&self) -> bool {
        match self {
            Self::Group(group) | Self::GroupExcept(group, _) => group.is_empty(),
            Self::Groups(groups) => groups.iter().any(String::is_empty),
            _ => false,
        }
    }
}

type Members = HashMap<u64, Arc<Connection>>;

/// The connections of one hub.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    inner: RwLock<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    connections: HashMap<ByteString, Arc<Connection>>,
    /// Groups exist only while they have members.
    groups: HashMap<Arc<str>, Members>,
    users: HashMap<Arc<str>, Members>,
    /// The groups of each connection that is in one.
    memberships: HashMap<u64, Vec<Arc<str>>>,
}

/// What became of a change to a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GroupChange {
    Done,
    /// It was so before, or the connection is gone.
    Unchanged,
    /// The connection is in as many groups as the limit allows.
    TooMany,
}

impl Registry {
    pub(crate) fn add(&self, connection: &Arc<Connection>) {
        let principal = connection.identity.principal();
        let mut inner = self.inner.write();
        inner.connections.insert(connection.id.clone(), connection.clone());
        if let Some(user) = principal.user_id() {
            match inner.users.get_mut(user) {
                Some(members) => {
                    members.insert(connection.key, connection.clone());
                }
                None => {
                    let members = Members::from([(connection.key, connection.clone())]);
                    inner.users.insert(user.into(), members);
                }
            }
        }
    }

    pub(crate) fn remove(&self, connection: &Connection) {
        let principal = connection.identity.principal();
        let inner = &mut *self.inner.write();
        inner.connections.remove(&connection.id);
        if let Some(user) = principal.user_id() {
            leave(&mut inner.users, user, connection.key);
        }
        for group in inner.memberships.remove(&connection.key).unwrap_or_default() {
            leave(&mut inner.groups, &group, connection.key);
        }
    }

    pub(crate) fn add_to_group(&self, id: &str, group: &str, limit: usize) -> GroupChange {
        let inner = &mut *self.inner.write();
        let Some(connection) = inner.connections.get(id) else { return GroupChange::Unchanged };
        let memberships = inner.memberships.entry(connection.key).or_default();
        if memberships.iter().any(|own| &**own == group) {
            return GroupChange::Unchanged;
        }
        if memberships.len() >= limit {
            return GroupChange::TooMany;
        }
        let name = match inner.groups.get_key_value(group) {
            Some((name, _)) => name.clone(),
            None => Arc::from(group),
        };
        memberships.push(name.clone());
        inner.groups.entry(name).or_default().insert(connection.key, connection.clone());
        GroupChange::Done
    }

    pub(crate) fn remove_from_group(&self, id: &str, group: &str) -> GroupChange {
        let inner = &mut *self.inner.write();
        let Some(connection) = inner.connections.get(id) else { return GroupChange::Unchanged };
        let Some(memberships) = inner.memberships.get_mut(&connection.key) else {
            return GroupChange::Unchanged;
        };
        let before = memberships.len();
        memberships.retain(|own| &**own != group);
        if memberships.len() == before {
            return GroupChange::Unchanged;
        }
        if memberships.is_empty() {
            inner.memberships.remove(&connection.key);
        }
        leave(&mut inner.groups, group, connection.key);
        GroupChange::Done
    }

    /// The groups that a connection is in.
    pub(crate) fn groups_of(&self, key: u64) -> Vec<Arc<str>> {
        self.inner.read().memberships.get(&key).cloned().unwrap_or_default()
    }

    pub(crate) fn is_in_group(&self, connection: &Connection, group: &str) -> bool {
        let inner = self.inner.read();
        inner.groups.get(group).is_some_and(|members| members.contains_key(&connection.key))
    }

    pub(crate) fn connection(&self, id: &str) -> Option<Arc<Connection>> {
        self.inner.read().connections.get(id).cloned()
    }

    /// The connections that a target means now. A copy: nothing is encoded or sent under the lock.
    pub(crate) fn recipients(&self, target: &Target) -> Vec<Arc<Connection>> {
        let inner = self.inner.read();
        let members = |members: Option<&Members>| -> Vec<Arc<Connection>> {
            members.map(|members| members.values().cloned().collect()).unwrap_or_default()
        };
        let unique = |groups: &mut dyn Iterator<Item = &Members>| {
            let mut seen = HashSet::new();
            let mut all = Vec::new();
            for members in groups {
                all.extend(members.values().filter(|member| seen.insert(member.key)).cloned());
            }
            all
        };
        match target {
            Target::All => inner.connections.values().cloned().collect(),
            Target::AllExcept(ids) => {
                inner.connections.values().filter(|other| !ids.contains(&other.id)).cloned().collect()
            }
            Target::Connections(ids) => {
                ids.iter().filter_map(|id| inner.connections.get(id)).cloned().collect()
            }
            Target::Group(group) => members(inner.groups.get(group.as_str())),
            Target::GroupExcept(group, ids) => {
                let mut all = members(inner.groups.get(group.as_str()));
                all.retain(|member| !ids.contains(&member.id));
                all
            }
            // Who is in two of them gets the message once.
            Target::Groups(groups) => {
                unique(&mut groups.iter().filter_map(|group| inner.groups.get(group.as_str())))
            }
            Target::Users(users) => {
                unique(&mut users.iter().filter_map(|user| inner.users.get(user.as_str())))
            }
        }
    }

    pub(crate) fn connections(&self) -> usize {
        self.inner.read().connections.len()
    }

    pub(crate) fn groups(&self) -> usize {
        self.inner.read().groups.len()
    }

    pub(crate) fn users(&self) -> usize {
        self.inner.read().users.len()
    }
}

fn leave(sets: &mut HashMap<Arc<str>, Members>, name: &str, key: u64) {
    if let Some(members) = sets.get_mut(name) {
        members.remove(&key);
        if members.is_empty() {
            sets.remove(name);
        }
    }
}
