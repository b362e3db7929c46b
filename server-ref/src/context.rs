use std::fmt;
use std::sync::Arc;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::Principal;
use crate::clients::{CallerClients, Groups};
use crate::connection::{Connection, Items};
use crate::endpoint::Endpoint;
use crate::outbox::Command;
use crate::session::CallKey;

/// The connection a method, hook or filter runs for, and the way from there to others.
#[derive(Clone)]
pub struct Context {
    connection: Arc<Connection>,
    endpoint: Arc<Endpoint>,
    call: Option<CallKey>,
    /// As it was when the method started: a token that is renewed meanwhile counts for the next one.
    principal: Arc<Principal>,
}

impl Context {
    pub(crate) fn new(connection: Arc<Connection>, endpoint: Arc<Endpoint>, call: Option<CallKey>) -> Self {
        let principal = connection.identity.principal();
        Self { connection, endpoint, call, principal }
    }

    /// The public id of the connection.
    pub fn connection_id(&self) -> &str {
        &self.connection.id
    }

    /// The user, if the token names one.
    pub fn user_id(&self) -> Option<&str> {
        self.principal.user_id()
    }

    /// Everything the token says.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// One claim of the token.
    pub fn claim(&self, name: &str) -> Option<&Value> {
        self.principal.claim(name)
    }

    /// The path of the hub.
    pub fn hub(&self) -> &str {
        &self.endpoint.path
    }

    /// Values that the application keeps with the connection.
    pub fn items(&self) -> &Items {
        &self.connection.items
    }

    /// The clients of the hub.
    pub fn clients(&self) -> CallerClients {
        CallerClients::new(self.endpoint.clone(), self.connection.clone(), self.call)
    }

    /// The groups of the hub.
    pub fn groups(&self) -> Groups {
        Groups::new(self.endpoint.clone())
    }

    /// Ends the connection. The client does not come back by itself.
    pub fn abort(&self) {
        // If it is over already there is nothing to end.
        self.connection.outbox.command(Command::Abort);
    }

    /// Ends the connection and tells the client why, and whether it may come back by itself. An empty error is none.
    pub fn close(&self, error: &str, allow_reconnect: bool) {
        let error = (!error.is_empty()).then(|| error.to_owned());
        // If it is over already there is nothing to end.
        let _ = self.connection.outbox.command(Command::Close { error, allow_reconnect });
    }

    /// Fires when the caller takes the call back or the connection ends; in a hook, when the connection ends.
    ///
    /// Calls that must not run twice ([`HubOptions::dedupe`](crate::HubOptions::dedupe)) survive their connection, because
    /// the caller will ask for the result over another one. If nobody did for the whole window, it fires, too.
    pub fn cancellation(&self) -> CancellationToken {
        self.connection.tokens.get(self.call)
    }

    /// Gives up the turn of this call: the next one of the same client begins while this goes on. For a method that waits for
    /// something that the client has yet to say; calls to the client itself do so by themselves. Does nothing where calls do
    /// not wait for each other, as for streams and in hooks.
    pub fn release_turn(&self) {
        if let Some(call) = self.call {
            // If the connection is over there is no turn to give up.
            self.connection.outbox.command(Command::Release(call));
        }
    }

    /// Whether the client gets objects as changes.
    pub(crate) fn reads_deltas(&self) -> bool {
        self.connection.identity.is_announced() && self.endpoint.fanout.has_deltas()
    }

    pub(crate) const fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("hub", &self.endpoint.path).finish_non_exhaustive()
    }
}
