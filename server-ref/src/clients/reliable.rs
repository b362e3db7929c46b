//! Messages that their recipients acknowledge.

use std::fmt;
use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use bytestring::ByteString;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Serialize;
use tokio::sync::oneshot;

use super::{Client, Recipients};
use crate::connection::Connection;
use crate::delivery::pending::Outcome;
use crate::endpoint::Endpoint;
use crate::error::SendError;
use crate::outbox::Command;
use crate::registry::Target;
use crate::reliable::{Content, Outcomes, Sending};
use crate::session::CallKey;

/// How a message is delivered that is to be acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReliableOptions {
    /// Of those that wait for a recipient, higher ones leave first. 0 by default.
    pub priority: i32,
    /// Whether it is delivered again after a negative acknowledgement or none, and becomes a dead letter in the end. It
    /// is by default. What is not critical has one attempt; a new connection is none.
    pub critical: bool,
    /// It is not delivered any more when that time is over; without a limit by default.
    pub expires_after: Option<Duration>,
    /// How long one delivery waits for its acknowledgement; as the hub says by default.
    pub timeout: Option<Duration>,
}

impl Default for ReliableOptions {
    fn default() -> Self {
        Self { priority: 0, critical: true, expires_after: None, timeout: None }
    }
}

impl ReliableOptions {
    /// Sets [`priority`](Self::priority).
    #[must_use]
    pub const fn priority(mut self, priority: i32) -> Self {
        self.priority = priority;
        self
    }

    /// Sets [`critical`](Self::critical).
    #[must_use]
    pub const fn critical(mut self, critical: bool) -> Self {
        self.critical = critical;
        self
    }

    /// Sets [`expires_after`](Self::expires_after).
    #[must_use]
    pub const fn expires_after(mut self, time: Duration) -> Self {
        self.expires_after = Some(time);
        self
    }

    /// Sets [`timeout`](Self::timeout).
    #[must_use]
    pub const fn timeout(mut self, time: Duration) -> Self {
        self.timeout = Some(time);
        self
    }
}

impl Recipients {
    /// A message to each of the clients, delivered until it is acknowledged. It reaches clients with a name of their own,
    /// which lost their connection a short while ago, too.
    pub fn reliable(&self, options: ReliableOptions) -> ReliableSend {
        let (endpoint, target) = (self.endpoint.clone(), self.target.clone());
        ReliableSend { endpoint, target, options, wrapped: false, caller: None }
    }
}

impl Client {
    /// A message to the client, delivered until it is acknowledged: over its next connection if it has a name of its own
    /// and this one is lost.
    pub fn reliable(&self, options: ReliableOptions) -> ReliableSend {
        let target = Target::Connections(vec![self.id.clone()]);
        let (endpoint, caller) = (self.endpoint.clone(), self.caller.clone());
        ReliableSend { endpoint, target, options, wrapped: false, caller }
    }
}

/// A message that is to be acknowledged, before it is sent.
#[derive(Clone)]
#[must_use = "nothing is sent before `send`"]
pub struct ReliableSend {
    endpoint: Arc<Endpoint>,
    target: Target,
    options: ReliableOptions,
    wrapped: bool,
    /// The method that gives up its turn while it waits.
    caller: Option<(Arc<Connection>, CallKey)>,
}

impl ReliableSend {
    /// Puts the message into `{"messageId": …, "data": …}` with a new id, also if it has an id of its own.
    pub const fn wrapped(mut self) -> Self {
        self.wrapped = true;
        self
    }

    /// Calls a method of each of the clients with that message, which is an object.
    ///
    /// Its `messageId` is the id if it is a text of 1 to 128 bytes; otherwise the message is [`wrapped`](Self::wrapped).
    /// Returns when the message will be delivered: with a store, when it is in there. Dropping the future takes nothing
    /// back.
    ///
    /// # Errors
    /// When the message cannot be encoded or is no object, a group has no name, the hub has no acknowledgements, or the
    /// message is refused for every recipient: by a limit, by the store, or because one with that id is pending.
    pub async fn send<T: Serialize>(self, target: &str, message: T) -> Result<Confirmation, SendError> {
        if self.target.is_nameless() {
            return Err(SendError::EmptyGroupName);
        }
        let Some(reliable) = self.endpoint.reliable.clone() else {
            return Err(SendError::NoAcknowledgements);
        };
        let content = Content::new(target, &message, self.wrapped)?;
        // Its future need not be able to leave this thread.
        drop(message);
        let message_id = content.id().clone();
        let ReliableOptions { priority, critical, expires_after, timeout } = self.options;
        let sending = Sending { priority, critical, expires_after, timeout };
        let sent = reliable.send(&self.endpoint.registry, &self.target, content, sending).await;
        let sent = sent.map_err(SendError::Refused)?;
        let (recipients, outcomes) = (sent.recipients, sent.outcomes);
        Ok(Confirmation { message_id, recipients, outcomes, caller: self.caller })
    }
}

impl fmt::Debug for ReliableSend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReliableSend").field("target", &self.target).finish_non_exhaustive()
    }
}

/// What becomes of a message. Awaited, it is whether all recipients acknowledged it; without any it is `false`.
///
/// An acknowledgement is a call of a hub method, so it waits for its turn. A method that waits for the confirmation of its own
/// caller gives up its turn if it sent to [`CallerClients::caller`](crate::CallerClients::caller) or
/// [`CallerClients::client`](crate::CallerClients::client); if the caller is one of many, it must not wait.
///
/// Dropping it takes nothing back.
#[must_use = "only waiting for it shows whether the message was acknowledged"]
pub struct Confirmation {
    message_id: ByteString,
    recipients: usize,
    outcomes: oneshot::Receiver<Outcomes>,
    caller: Option<(Arc<Connection>, CallKey)>,
}

impl Confirmation {
    /// What the recipients acknowledge.
    pub fn message_id(&self) -> &str {
        &self.message_id
    }

    /// How many there are.
    pub const fn recipients(&self) -> usize {
        self.recipients
    }

    /// What it came to, for each recipient: its user, or the id of its connection if it has none. Waits for all of them;
    /// with `critical` messages and sessions that are away that can take minutes. Empty without recipients, and if the
    /// server has ended.
    pub async fn outcomes(self) -> Vec<(String, Outcome)> {
        if self.recipients == 0 {
            return Vec::new();
        }
        if let Some((caller, call)) = &self.caller {
            // If the caller is gone there is no turn to give up.
            caller.outbox.command(Command::Release(*call));
        }
        self.outcomes.await.unwrap_or_default()
    }
}

impl IntoFuture for Confirmation {
    type Output = bool;
    type IntoFuture = BoxFuture<'static, bool>;

    fn into_future(self) -> Self::IntoFuture {
        let all = |outcomes: Vec<(String, Outcome)>| {
            !outcomes.is_empty() && outcomes.iter().all(|(_, outcome)| *outcome == Outcome::Acknowledged)
        };
        self.outcomes().map(all).boxed()
    }
}

impl fmt::Debug for Confirmation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("Confirmation");
        f.field("message_id", &self.message_id).field("recipients", &self.recipients).finish_non_exhaustive()
    }
}
