use bytestring::ByteString;
use hubwire::protocol::ProtocolError;

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The handshake failed; the client was told.
    HandshakeRefused(String),
    /// The connect hook failed, with this text for the client.
    ConnectFailed(String),
    /// The client said that it is done.
    ClientClosed(Option<ByteString>),
    /// The transport ended; without an error the client closed it properly.
    LinkLost(Option<String>),
    /// The client did not come back in time.
    Abandoned,
    /// Nothing came for too long.
    ClientTimeout,
    /// The client broke the protocol.
    Violation(ProtocolError),
    /// The client takes messages too slowly.
    SlowConsumer,
    /// The application ended it.
    Aborted,
    /// The server goes down.
    Shutdown,
}

impl End {
    /// What the disconnect hook gets: the error, if it was one.
    pub fn error(&self) -> Option<String> {
        match self {
            Self::ClientClosed(error) => error.as_ref().map(ToString::to_string),
            Self::LinkLost(error) => error.clone(),
            Self::Abandoned | Self::Aborted | Self::Shutdown => None,
            Self::HandshakeRefused(text) | Self::ConnectFailed(text) => Some(text.clone()),
            Self::ClientTimeout => {
                Some("Client hasn't sent a message/ping within the configured ClientTimeoutInterval.".into())
            }
            Self::Violation(error) => Some(error.to_string()),
            Self::SlowConsumer => Some("The client takes messages too slowly.".into()),
        }
    }

    /// A short name, for logs and the status page.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::HandshakeRefused(_) => "handshake refused",
            Self::ConnectFailed(_) => "connect hook failed",
            Self::ClientClosed(_) => "closed by the client",
            Self::LinkLost(None) => "transport closed",
            Self::LinkLost(Some(_)) => "transport lost",
            Self::Abandoned => "abandoned",
            Self::ClientTimeout => "client timeout",
            Self::Violation(_) => "protocol violation",
            Self::SlowConsumer => "slow consumer",
            Self::Aborted => "aborted",
            Self::Shutdown => "server shutdown",
        }
    }

    /// The error of the Close message, by the rule of the official server: details only where they are enabled.
    pub(super) fn close_text(&self, detailed: bool) -> Option<String> {
        let exception = match self {
            Self::Violation(_) => "InvalidDataException",
            Self::ClientTimeout => "OperationCanceledException",
            _ => return None,
        };
        let mut text = String::from(CONNECTION_ERROR);
        if let (true, Some(detail)) = (detailed, self.error()) {
            text.push_str(&format!(" {exception}: {detail}"));
        }
        Some(text)
    }
}

/// How every Close message with an error begins.
pub(crate) const CONNECTION_ERROR: &str = "Connection closed with an error.";
