//! Addressing: to whom a message goes.

mod envelope;
mod reliable;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytestring::ByteString;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use crate::connection::Connection;
use crate::endpoint::Endpoint;
use crate::error::{HubError, SendError};
use crate::outbox::Command;
use crate::registry::{self, Broadcast, GroupChange, Target};
use crate::session::CallKey;

pub use envelope::Envelope;
pub use reliable::{Confirmation, ReliableOptions, ReliableSend};

/// The clients of a hub.
///
/// Sending never waits: the message goes to the queue of each recipient. A recipient that is gone is no error; one
/// whose queue is full is disconnected.
#[derive(Clone)]
pub struct HubClients {
    endpoint: Arc<Endpoint>,
}

impl HubClients {
    pub(crate) const fn new(endpoint: Arc<Endpoint>) -> Self {
        Self { endpoint }
    }

    /// All clients.
    pub fn all(&self) -> Recipients {
        self.to(Target::All)
    }

    /// All clients but those with these connection ids.
    pub fn all_except(&self, ids: impl IntoIterator<Item = impl AsRef<str>>) -> Recipients {
        self.to(Target::AllExcept(connection_ids(ids)))
    }

    /// The client with this connection id.
    pub fn client(&self, id: impl AsRef<str>) -> Client {
        Client { endpoint: self.endpoint.clone(), id: id.as_ref().into(), caller: None }
    }

    /// The clients with these connection ids.
    pub fn clients(&self, ids: impl IntoIterator<Item = impl AsRef<str>>) -> Recipients {
        self.to(Target::Connections(connection_ids(ids)))
    }

    /// The members of a group.
    pub fn group(&self, group: impl Into<String>) -> Recipients {
        self.to(Target::Group(group.into()))
    }

    /// The members of a group but those with these connection ids.
    pub fn group_except(
        &self,
        group: impl Into<String>,
        ids: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Recipients {
        self.to(Target::GroupExcept(group.into(), connection_ids(ids)))
    }

    /// The members of several groups; who is in two of them gets the message once.
    pub fn groups(&self, groups: impl IntoIterator<Item = impl Into<String>>) -> Recipients {
        self.to(Target::Groups(groups.into_iter().map(Into::into).collect()))
    }

    /// All connections of a user.
    pub fn user(&self, user: impl Into<String>) -> Recipients {
        self.to(Target::Users(vec![user.into()]))
    }

    /// All connections of several users.
    pub fn users(&self, users: impl IntoIterator<Item = impl Into<String>>) -> Recipients {
        self.to(Target::Users(users.into_iter().map(Into::into).collect()))
    }

    const fn to_target(endpoint: Arc<Endpoint>, target: Target) -> Recipients {
        Recipients { endpoint, target }
    }

    fn to(&self, target: Target) -> Recipients {
        Self::to_target(self.endpoint.clone(), target)
    }
}

impl fmt::Debug for HubClients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubClients").field("hub", &self.endpoint.path).finish()
    }
}

/// The clients of a hub, as seen from a method that one of them called.
#[derive(Clone, Debug)]
pub struct CallerClients {
    clients: HubClients,
    caller: Arc<Connection>,
    call: Option<CallKey>,
}

impl CallerClients {
    pub(crate) const fn new(endpoint: Arc<Endpoint>, caller: Arc<Connection>, call: Option<CallKey>) -> Self {
        Self { clients: HubClients::new(endpoint), caller, call }
    }

    /// The client that called.
    pub fn caller(&self) -> Client {
        self.client(&*self.caller.id)
    }

    /// All clients but the one that called.
    pub fn others(&self) -> Recipients {
        self.clients.to(Target::AllExcept(vec![self.caller.id.clone()]))
    }

    /// The members of a group but the client that called.
    pub fn others_in_group(&self, group: impl Into<String>) -> Recipients {
        self.clients.to(Target::GroupExcept(group.into(), vec![self.caller.id.clone()]))
    }

    /// The client with this connection id. While a method waits for its answer, other methods of the caller may start.
    pub fn client(&self, id: impl AsRef<str>) -> Client {
        let caller = self.call.map(|call| (self.caller.clone(), call));
        Client { caller, ..self.clients.client(id) }
    }
}

impl std::ops::Deref for CallerClients {
    type Target = HubClients;

    fn deref(&self) -> &HubClients {
        &self.clients
    }
}

/// Clients that a message can be sent to.
#[derive(Clone)]
#[must_use = "nothing is sent before `send`"]
pub struct Recipients {
    endpoint: Arc<Endpoint>,
    target: Target,
}

impl Recipients {
    /// Calls a method of each of the clients. The arguments are a tuple, a slice, or `()`.
    ///
    /// # Errors
    /// When the arguments cannot be encoded, or a group has no name.
    pub fn send<A: Serialize>(&self, target: &str, arguments: A) -> Result<(), SendError> {
        let (endpoint, to) = self.check()?;
        endpoint.fanout.barrier(endpoint, to);
        send(endpoint, endpoint.registry.recipients(to), target, &arguments)
    }

    /// Who it is, if that can be.
    pub(crate) fn check(&self) -> Result<(&Arc<Endpoint>, &Target), SendError> {
        if self.target.is_nameless() {
            return Err(SendError::EmptyGroupName);
        }
        Ok((&self.endpoint, &self.target))
    }
}

impl fmt::Debug for Recipients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recipients").field("target", &self.target).finish_non_exhaustive()
    }
}

/// A single client.
#[derive(Clone)]
#[must_use = "nothing is sent before `send` or `invoke`"]
pub struct Client {
    endpoint: Arc<Endpoint>,
    id: ByteString,
    /// The method that gives up its turn while it waits.
    caller: Option<(Arc<Connection>, CallKey)>,
}

impl Client {
    /// Calls a method of the client, without an answer.
    ///
    /// # Errors
    /// When the arguments cannot be encoded.
    pub fn send<A: Serialize>(&self, target: &str, arguments: A) -> Result<(), SendError> {
        self.barrier();
        let connection = self.endpoint.registry.connection(&self.id);
        send(&self.endpoint, connection.into_iter().collect(), target, &arguments)
    }

    fn barrier(&self) {
        if self.endpoint.fanout.has_batches() {
            self.endpoint.fanout.barrier(&self.endpoint, &Target::Connections(vec![self.id.clone()]));
        }
    }

    /// Calls a method of the client and waits for its result, as long as the configuration says.
    ///
    /// # Errors
    /// The client's own error, as a `HubException`; or that it is not there, went away, did not answer in time, or
    /// answered with something else than `T`.
    pub async fn invoke<T: DeserializeOwned>(
        &self,
        target: &str,
        arguments: impl Serialize,
    ) -> Result<T, HubError> {
        self.invoke_within(self.endpoint.settings.client_result_timeout, target, arguments).await
    }

    /// As [`invoke`](Self::invoke), with another time limit.
    ///
    /// # Errors
    /// As [`invoke`](Self::invoke).
    pub async fn invoke_within<T: DeserializeOwned>(
        &self,
        limit: Duration,
        target: &str,
        arguments: impl Serialize,
    ) -> Result<T, HubError> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let gone = |what| HubError::named("IOException", format!("Connection '{}' {what}.", self.id));
        let Some(connection) = self.endpoint.registry.connection(&self.id) else {
            return Err(gone("does not exist"));
        };
        let call = registry::call(connection.encoding, target.into(), &arguments)?;
        self.barrier();
        // Clients count their own ids up from zero; a letter keeps ours apart from those of their uploads.
        let id = ByteString::from(format!("s{}", NEXT.fetch_add(1, Ordering::Relaxed)));
        let (reply, answer) = oneshot::channel();
        let command = Command::InvokeClient { id: id.clone(), call, reply };
        if !connection.outbox.command(command) {
            return Err(gone("does not exist"));
        }
        self.endpoint.stats.sent(1);
        if let Some((caller, call)) = &self.caller {
            // If the caller is gone there is no turn to give up.
            caller.outbox.command(Command::Release(*call));
        }
        let forget = Forget { connection: &connection, id: Some(id) };
        match tokio::time::timeout(limit, answer).await {
            Ok(answered) => {
                forget.defuse();
                let result = answered.map_err(|_| gone("disconnected"))??;
                result.decode().map_err(|error| {
                    HubError::named(
                        "InvalidDataException",
                        format!("The client's result of '{target}' cannot be read: {error}."),
                    )
                })
            }
            Err(_) => Err(HubError::named(
                "TimeoutException",
                format!("Connection '{}' did not answer '{target}' within {limit:?}.", self.id),
            )),
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

/// Tells the connection that nobody waits any more, also when the waiting future is dropped.
struct Forget<'a> {
    connection: &'a Connection,
    id: Option<ByteString>,
}

impl Forget<'_> {
    fn defuse(mut self) {
        self.id = None;
    }
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id.take() {
            self.connection.outbox.command(Command::ForgetClientCall(id));
        }
    }
}

/// Membership of groups. Groups come and go with their members; names are case-sensitive.
#[derive(Clone)]
pub struct Groups {
    endpoint: Arc<Endpoint>,
}

impl Groups {
    pub(crate) const fn new(endpoint: Arc<Endpoint>) -> Self {
        Self { endpoint }
    }

    /// Adds a connection to a group. Returns whether it was not in it; a connection that is gone is not added.
    ///
    /// # Errors
    /// When the group has no name, or the connection is in as many groups as the configuration allows.
    pub fn add(&self, connection_id: impl AsRef<str>, group: impl AsRef<str>) -> Result<bool, HubError> {
        let group = group.as_ref();
        if group.is_empty() {
            return Err(HubError::named("ArgumentException", "A group must have a name."));
        }
        let limit = self.endpoint.settings.groups_per_connection;
        match self.endpoint.fanout.join(&self.endpoint, connection_id.as_ref(), group, limit) {
            GroupChange::Done => Ok(true),
            GroupChange::Unchanged => Ok(false),
            GroupChange::TooMany => {
                Err(HubError::new(format!("A connection can be in at most {limit} groups.")))
            }
        }
    }

    /// Removes a connection from a group. Returns whether it was in it.
    pub fn remove(&self, connection_id: impl AsRef<str>, group: impl AsRef<str>) -> bool {
        let (connection_id, group) = (connection_id.as_ref(), group.as_ref());
        let registry = &self.endpoint.registry;
        let change = registry.remove_from_group(connection_id, group);
        if let Some(reliable) = &self.endpoint.reliable {
            reliable.left_group(connection_id, registry, group);
        }
        change == GroupChange::Done
    }
}

impl fmt::Debug for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Groups").finish_non_exhaustive()
    }
}

fn connection_ids(ids: impl IntoIterator<Item = impl AsRef<str>>) -> Vec<ByteString> {
    ids.into_iter().map(|id| id.as_ref().into()).collect()
}

fn send<A: Serialize>(
    endpoint: &Endpoint,
    recipients: Vec<Arc<Connection>>,
    target: &str,
    arguments: &A,
) -> Result<(), SendError> {
    let mut broadcast = Broadcast::new(target, arguments);
    let mut sent = 0;
    for connection in recipients {
        sent += u64::from(connection.outbox.push_best_effort(broadcast.frame(connection.encoding)?));
    }
    endpoint.stats.sent(sent);
    Ok(())
}
