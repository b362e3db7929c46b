use alloc::string::String;
use core::fmt;

use crate::Error;

/// Where a connection stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectionState {
    /// No connection, and none is being made.
    #[default]
    Disconnected,
    /// The first connection is being made.
    Connecting,
    /// Calls go through.
    Connected,
    /// The connection was lost and another is being made.
    Reconnecting,
    /// The connection is being closed on request.
    Disconnecting,
}

impl ConnectionState {
    /// The name, the same in every language.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Disconnected => "Disconnected",
            Self::Connecting => "Connecting",
            Self::Connected => "Connected",
            Self::Reconnecting => "Reconnecting",
            Self::Disconnecting => "Disconnecting",
        }
    }
}

impl fmt::Display for ConnectionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What made the state change.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The application asked for it.
    Requested,
    /// The handshake succeeded.
    Established {
        /// The public id of the connection; unknown without negotiation.
        connection_id: Option<String>,
        /// The id of the connection that was lost, if this one replaces it.
        previous_connection_id: Option<String>,
    },
    /// The server closed the connection in order.
    ServerClosed {
        /// Whether it invites the client to come back.
        allow_reconnect: bool,
    },
    /// The connection could not be made, or was lost.
    Failed(Error),
}
