//! One conversation: who is in it, who types, which messages there were. No I/O, no clock.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use hubwire::Time;

use crate::error::HubError;

/// Members are users; each is there through one or more connections.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    members: HashMap<String, HashSet<String>>,
    /// Who types, in the order of names, and until when on which connection.
    typing: BTreeMap<String, HashMap<String, Time>>,
    messages: HashMap<String, Stored>,
    /// The ids of the messages, oldest first.
    order: VecDeque<String>,
    reads: HashMap<String, String>,
}

/// What is remembered of a message: enough to check later calls. Texts are not kept.
#[derive(Debug)]
struct Stored {
    author: String,
    timestamp: String,
    /// Kept, so that its id is not used again.
    deleted: bool,
}

/// Whether a change can be seen by others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Visible,
    None,
}

impl Change {
    const fn when(visible: bool) -> Self {
        if visible { Self::Visible } else { Self::None }
    }
}

impl Conversation {
    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(super) fn has(&self, user: &str, connection: &str) -> bool {
        self.members.get(user).is_some_and(|connections| connections.contains(connection))
    }

    /// Visible when the user was not in it through another connection.
    pub(super) fn join(&mut self, user: &str, connection: &str, limit: usize) -> Result<Change, HubError> {
        if !self.members.contains_key(user) && self.members.len() >= limit {
            return Err(HubError::new(format!("The conversation is full: it has {limit} members")));
        }
        let connections = self.members.entry(user.into()).or_default();
        let is_new = connections.insert(connection.into());
        Ok(Change::when(is_new && connections.len() == 1))
    }

    /// Visible when it was the last connection of the user.
    pub(super) fn leave(&mut self, user: &str, connection: &str) -> Change {
        let Some(connections) = self.members.get_mut(user) else { return Change::None };
        let was = connections.remove(connection);
        if !connections.is_empty() {
            return Change::None;
        }
        self.members.remove(user);
        self.reads.remove(user);
        Change::when(was)
    }

    /// Visible when the user did not type on any connection.
    pub(super) fn start_typing(&mut self, user: &str, connection: &str, until: Time) -> Change {
        let connections = self.typing.entry(user.into()).or_default();
        let change = Change::when(connections.is_empty());
        connections.insert(connection.into(), until);
        change
    }

    /// Visible when the user types on no other connection.
    pub(super) fn stop_typing(&mut self, now: Time, user: &str, connection: &str) -> Change {
        self.retain_typing(user, |other, until| other != connection && until > now)
    }

    /// Visible when the user typed on any connection.
    pub(super) fn clear_typing(&mut self, user: &str) -> Change {
        Change::when(self.typing.remove(user).is_some())
    }

    /// Ends what is over at that time. Visible when the user types on no connection any more.
    pub(super) fn expire_typing(&mut self, now: Time, user: &str) -> Change {
        self.retain_typing(user, |_, until| until > now)
    }

    /// Until when the user types, if nothing happens.
    pub(super) fn typing_until(&self, user: &str) -> Option<Time> {
        self.typing.get(user)?.values().copied().max()
    }

    fn retain_typing(&mut self, user: &str, keep: impl Fn(&str, Time) -> bool) -> Change {
        let Some(connections) = self.typing.get_mut(user) else { return Change::None };
        connections.retain(|connection, until| keep(connection, *until));
        if !connections.is_empty() {
            return Change::None;
        }
        self.clear_typing(user)
    }

    pub(super) fn typing_users(&self) -> Vec<&str> {
        self.typing.keys().map(String::as_str).collect()
    }

    /// Remembers a message; the oldest is forgotten when there are more than `limit`.
    pub(super) fn add_message(
        &mut self,
        id: &str,
        author: &str,
        timestamp: &str,
        limit: usize,
    ) -> Result<(), HubError> {
        if self.messages.contains_key(id) {
            return Err(HubError::new("messageId is in use already"));
        }
        while self.order.len() >= limit.max(1) {
            if let Some(oldest) = self.order.pop_front() {
                self.messages.remove(&oldest);
            }
        }
        let stored = Stored { author: author.into(), timestamp: timestamp.into(), deleted: false };
        self.messages.insert(id.into(), stored);
        self.order.push_back(id.into());
        Ok(())
    }

    /// The time of a message that the user may edit.
    pub(super) fn edit_message(&self, id: &str, user: &str) -> Result<String, HubError> {
        let message = self.message(id)?;
        if message.author != user {
            return Err(HubError::new("Only the author of a message can edit it"));
        }
        Ok(message.timestamp.clone())
    }

    pub(super) fn delete_message(
        &mut self,
        id: &str,
        user: &str,
        is_moderator: bool,
    ) -> Result<(), HubError> {
        let message = self.message(id)?;
        if message.author != user && !is_moderator {
            return Err(HubError::new("Only the author of a message can delete it"));
        }
        if let Some(message) = self.messages.get_mut(id) {
            message.deleted = true;
        }
        Ok(())
    }

    /// Visible when the user had read another message last.
    pub(super) fn mark_read(&mut self, id: &str, user: &str) -> Result<Change, HubError> {
        self.message(id)?;
        let before = self.reads.insert(user.into(), id.into());
        Ok(Change::when(before.as_deref() != Some(id)))
    }

    fn message(&self, id: &str) -> Result<&Stored, HubError> {
        let message = self.messages.get(id).filter(|message| !message.deleted);
        message.ok_or_else(|| HubError::new("Message not found"))
    }
}
