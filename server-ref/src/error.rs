use std::borrow::Cow;
use std::fmt;

use hubwire::protocol::PayloadError;

/// Why a hub method, a hook or a filter failed.
///
/// What of it reaches the client follows SignalR: the text of [`HubError::new`] always does, behind a general
/// sentence and the name `HubException`; that of any other error only where detailed errors are enabled.
///
/// `?` turns every [`std::error::Error`] into a `HubError` whose text stays on the server. For that reason this type
/// is no `std::error::Error` itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubError {
    name: Cow<'static, str>,
    message: String,
}

const HUB_EXCEPTION: &str = "HubException";

impl HubError {
    /// An error whose text is meant for the client.
    pub fn new(message: impl Into<String>) -> Self {
        Self::named(HUB_EXCEPTION, message)
    }

    /// An error under the name of a .NET exception, such as `InvalidOperationException`. Clients see it only where
    /// detailed errors are enabled.
    pub fn named(name: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { name: name.into(), message: message.into() }
    }

    /// The name under which it appears: `HubException` if it is meant for the client.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its own text.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether clients see the text even where detailed errors are off.
    pub fn is_for_client(&self) -> bool {
        self.name == HUB_EXCEPTION
    }

    /// The text for the client: `base`, and the error behind it if the client may see it.
    pub(crate) fn text_for_client(&self, base: &str, detailed: bool) -> String {
        match self.is_for_client() || detailed {
            true => format!("{base} {}: {}", self.name, self.message),
            false => base.to_owned(),
        }
    }
}

impl fmt::Display for HubError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.message)
    }
}

impl<E: std::error::Error> From<E> for HubError {
    fn from(error: E) -> Self {
        Self::named("Exception", error.to_string())
    }
}

/// A message that could not be sent to clients. It is the caller's mistake; clients that are gone are no error.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// The arguments cannot be encoded.
    Arguments(PayloadError),
    /// A group without a name.
    EmptyGroupName,
    /// The hub has no [`HubOptions::acknowledgements`](crate::HubOptions::acknowledgements).
    NoAcknowledgements,
    /// A message that is to be acknowledged must be an object, so that it can have an id.
    NoObject,
    /// Nobody gets it: it was refused for every recipient, and why for the first of them.
    Refused(String),
    /// These recipients are no stream: those are single groups and single users.
    NoStream,
    /// The hub was not built with [`HubOptions::history`](crate::HubOptions::history).
    NoHistory,
    /// The store of the history is too far behind. The call was not sent.
    HistoryFull,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Arguments(error) => write!(f, "The arguments cannot be encoded: {error}."),
            Self::EmptyGroupName => f.write_str("Cannot send to an empty group name."),
            Self::NoAcknowledgements => f.write_str("Acknowledgements are off for this hub."),
            Self::NoObject => f.write_str("A message that is to be acknowledged must be an object."),
            Self::Refused(text) => f.write_str(text),
            Self::NoStream => f.write_str("Only a single group or a single user is a stream."),
            Self::NoHistory => f.write_str("The hub keeps no history."),
            Self::HistoryFull => f.write_str("The store of the history is too far behind."),
        }
    }
}

impl std::error::Error for SendError {}

/// What is wrong with a hub or server as it was put together.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildError {
    /// Two methods whose names differ at most in case: clients could not tell them apart.
    DuplicateMethod(String),
    /// A policy for a method that the hub does not have.
    UnknownMethod(String),
    /// A hook with parameters that only clients could fill in.
    HookParameters(&'static str),
    /// Two hubs under paths that differ at most in case.
    DuplicatePath(String),
    /// A path that does not begin with `/`, or is only that.
    InvalidPath(String),
    /// A hub demands an authenticated user, but the server has no key to check tokens with.
    NoAuthentication(String),
    /// A hub without any transport.
    NoTransports(String),
    /// A hub that must remember calls, but none.
    NoDedupeEntries(String),
    /// A hub has a method of its own where the server has one.
    ReservedMethod(String),
    /// The store cannot be used.
    Store(crate::store::StoreError),
    /// A hub with history that has no streams, or none that could be sent.
    NoHistory(String),
    /// A setting of the configuration.
    Config(crate::config::ConfigError),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DuplicateMethod(name) => {
                write!(f, "the hub method '{name}' is registered twice; names are compared without case")
            }
            Self::UnknownMethod(name) => write!(f, "there is a policy for '{name}', which is no hub method"),
            Self::HookParameters(hook) => {
                write!(f, "the {hook} hook has parameters that would have to come from the client")
            }
            Self::DuplicatePath(path) => {
                write!(f, "two hubs have the path '{path}'; paths are compared without case")
            }
            Self::InvalidPath(path) => write!(f, "the hub path '{path}' must be like '/hubs/chat'"),
            Self::NoAuthentication(path) => write!(
                f,
                "the hub '{path}' has a policy, but no authentication is configured, so nobody could connect"
            ),
            Self::NoTransports(path) => {
                write!(f, "the hub '{path}' has no transport, so nobody could connect")
            }
            Self::NoDedupeEntries(path) => {
                write!(f, "the hub '{path}' has `dedupe` with `max_entries` zero; `None` turns it off")
            }
            Self::ReservedMethod(name) => {
                write!(f, "the hub method '{name}' is one of the server, unless `acknowledgements` is off")
            }
            Self::Store(error) => write!(f, "the store: {error}"),
            Self::NoHistory(path) => {
                write!(f, "the hub '{path}' has `history` with `max_streams` or `page_messages` zero")
            }
            Self::Config(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for BuildError {}

impl From<crate::store::StoreError> for BuildError {
    fn from(error: crate::store::StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<crate::config::ConfigError> for BuildError {
    fn from(error: crate::config::ConfigError) -> Self {
        Self::Config(error)
    }
}
