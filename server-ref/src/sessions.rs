//! Sessions whose last connection was lost a short while ago: reliable messages to a group or user reach them as well.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use bytestring::ByteString;
use hubwire::Time;
use parking_lot::Mutex;

use crate::delivery::pending::RecipientId;
use crate::registry::Target;

/// How long a session that is back still counts as a member of the groups that its connection before was in. Clients
/// join their groups again after they have connected; what is sent meanwhile is for them, too.
const REJOIN: Duration = Duration::from_secs(10);

/// No more sessions are remembered for one hub; the one whose time is over first makes room.
const LIMIT: usize = 10_000;

#[derive(Debug, Default)]
pub(crate) struct Sessions(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    away: HashMap<RecipientId, Away>,
    order: BTreeSet<(Time, RecipientId)>,
    groups: HashMap<String, HashSet<RecipientId>>,
    users: HashMap<String, HashSet<RecipientId>>,
    connections: HashMap<ByteString, RecipientId>,
}

/// What a session was when its connection was lost.
#[derive(Debug)]
pub(crate) struct Away {
    pub(crate) until: Time,
    pub(crate) user: Option<String>,
    pub(crate) groups: Vec<String>,
    /// The public id of the connection.
    pub(crate) connection: ByteString,
}

impl Sessions {
    /// A connection of the session was lost.
    pub(crate) fn left(&self, now: Time, recipient: RecipientId, away: Away) {
        let inner = &mut *self.0.lock();
        inner.purge(now);
        inner.remove(&recipient);
        while inner.away.len() >= LIMIT
            && let Some((_, first)) = inner.order.first().cloned()
        {
            inner.remove(&first);
        }
        for group in &away.groups {
            inner.groups.entry(group.clone()).or_default().insert(recipient.clone());
        }
        if let Some(user) = &away.user {
            inner.users.entry(user.clone()).or_default().insert(recipient.clone());
        }
        inner.connections.insert(away.connection.clone(), recipient.clone());
        inner.order.insert((away.until, recipient.clone()));
        inner.away.insert(recipient, away);
    }

    /// The session has a connection again.
    pub(crate) fn returned(&self, now: Time, recipient: &RecipientId) {
        let inner = &mut *self.0.lock();
        inner.purge(now);
        let Some(away) = inner.away.get_mut(recipient) else { return };
        let until = away.until.min(now + REJOIN);
        inner.order.remove(&(away.until, recipient.clone()));
        away.until = until;
        inner.order.insert((until, recipient.clone()));
    }

    /// The session is no member of that group any more, whatever it was.
    pub(crate) fn left_group(&self, recipient: &RecipientId, group: &str) {
        let inner = &mut *self.0.lock();
        let Some(away) = inner.away.get_mut(recipient) else { return };
        away.groups.retain(|own| own != group);
        leave(&mut inner.groups, group, recipient);
    }

    /// Those that a target means.
    pub(crate) fn matching(&self, now: Time, target: &Target) -> Vec<RecipientId> {
        let inner = &mut *self.0.lock();
        inner.purge(now);
        if inner.away.is_empty() {
            return Vec::new();
        }
        let all_in = |sets: &HashMap<String, HashSet<RecipientId>>, names: &[String]| -> Vec<RecipientId> {
            names.iter().filter_map(|name| sets.get(name)).flatten().cloned().collect()
        };
        let except = |mut all: Vec<RecipientId>, ids: &[ByteString]| {
            let excluded: HashSet<_> = ids.iter().filter_map(|id| inner.connections.get(id)).collect();
            all.retain(|recipient| !excluded.contains(recipient));
            all
        };
        match target {
            Target::All => inner.away.keys().cloned().collect(),
            Target::AllExcept(ids) => except(inner.away.keys().cloned().collect(), ids),
            Target::Connections(ids) => {
                ids.iter().filter_map(|id| inner.connections.get(id)).cloned().collect()
            }
            Target::Group(group) => all_in(&inner.groups, std::slice::from_ref(group)),
            Target::GroupExcept(group, ids) => {
                except(all_in(&inner.groups, std::slice::from_ref(group)), ids)
            }
            Target::Groups(groups) => all_in(&inner.groups, groups),
            Target::Users(users) => all_in(&inner.users, users),
        }
    }
}

impl Inner {
    fn purge(&mut self, now: Time) {
        while let Some((_, first)) = self.order.first().filter(|(until, _)| *until <= now).cloned() {
            self.remove(&first);
        }
    }

    fn remove(&mut self, recipient: &RecipientId) {
        let Some(away) = self.away.remove(recipient) else { return };
        self.order.remove(&(away.until, recipient.clone()));
        for group in &away.groups {
            leave(&mut self.groups, group, recipient);
        }
        if let Some(user) = &away.user {
            leave(&mut self.users, user, recipient);
        }
        self.connections.remove(&away.connection);
    }
}

fn leave(sets: &mut HashMap<String, HashSet<RecipientId>>, name: &str, recipient: &RecipientId) {
    if let Some(members) = sets.get_mut(name) {
        members.remove(recipient);
        if members.is_empty() {
            sets.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::from_millis(seconds * 1000)
    }

    fn session(name: &str) -> RecipientId {
        RecipientId::session(Some("user"), name)
    }

    fn away(until: u64, connection: &str, groups: &[&str]) -> Away {
        Away {
            until: at(until),
            user: Some("user".into()),
            groups: groups.iter().map(|group| (*group).into()).collect(),
            connection: connection.to_owned().into(),
        }
    }

    #[test]
    fn those_who_are_away_are_found_by_what_they_were() {
        let sessions = Sessions::default();
        sessions.left(at(0), session("a"), away(100, "c1", &["g", "h"]));
        sessions.left(at(0), session("b"), away(100, "c2", &["g"]));
        let found = |target: Target| {
            let mut found = sessions.matching(at(1), &target);
            found.sort();
            found
        };
        let (a, b, both) = (vec![session("a")], vec![session("b")], vec![session("a"), session("b")]);
        assert_eq!(found(Target::All), both);
        assert_eq!(found(Target::AllExcept(vec!["c1".into()])), b);
        assert_eq!(found(Target::Connections(vec!["c1".into(), "c9".into()])), a);
        assert_eq!(found(Target::Group("g".into())), both);
        assert_eq!(found(Target::GroupExcept("g".into(), vec!["c2".into()])), a);
        assert_eq!(found(Target::Groups(vec!["h".into(), "i".into()])), a);
        assert_eq!(found(Target::Users(vec!["user".into()])), both);
        assert!(found(Target::Users(vec!["other".into()])).is_empty());
        sessions.left_group(&session("a"), "g");
        assert_eq!(found(Target::Group("g".into())), b);
    }

    #[test]
    fn they_are_forgotten_in_time_and_soon_after_they_are_back() {
        let sessions = Sessions::default();
        sessions.left(at(0), session("a"), away(100, "c1", &["g"]));
        sessions.left(at(0), session("b"), away(100, "c2", &["g"]));
        sessions.returned(at(20), &session("a"));
        let count = |now: u64| sessions.matching(at(now), &Target::Group("g".into())).len();
        assert_eq!([29, 30, 99, 100].map(count), [2, 1, 1, 0]);
        let inner = sessions.0.lock();
        assert!(inner.away.is_empty() && inner.order.is_empty() && inner.groups.is_empty());
        assert!(inner.users.is_empty() && inner.connections.is_empty());
    }

    #[test]
    fn there_is_a_limit() {
        let sessions = Sessions::default();
        for number in 0..LIMIT as u64 + 5 {
            let name = number.to_string();
            sessions.left(at(0), session(&name), away(100 + number, &name, &["g"]));
        }
        let inner = sessions.0.lock();
        assert_eq!((inner.away.len(), inner.order.len(), inner.connections.len()), (LIMIT, LIMIT, LIMIT));
        assert!(!inner.away.contains_key(&session("4")) && inner.away.contains_key(&session("5")));
    }
}
