//! Errors, as they cross the border.

use std::fmt;

/// Whose fault an error is; the same names in every language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum ErrorKind {
    /// The caller's.
    Misuse,
    /// The peer broke the rules.
    Protocol,
    /// The peer said no.
    Refused,
    /// The network's.
    Network,
    /// It took too long.
    Timeout,
    /// It was taken back.
    Cancelled,
    /// A limit of ours was reached.
    Overflow,
    /// Messages were lost.
    Gap,
    /// It was sent and not answered: it may have run or not.
    OutcomeUnknown,
}

/// An error that happened on a connection.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Fault {
    /// Whose fault it is.
    pub kind: ErrorKind,
    /// For people.
    pub reason: String,
}

/// Why a command was not taken.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Error)]
pub enum HubFailure {
    /// With kind and text.
    Failed {
        /// Whose fault it is.
        kind: ErrorKind,
        /// For people. Not named `message`, which exceptions of Kotlin have already.
        reason: String,
    },
}

impl HubFailure {
    pub(crate) fn misuse(reason: impl Into<String>) -> Self {
        Self::Failed { kind: ErrorKind::Misuse, reason: reason.into() }
    }
}

impl fmt::Display for HubFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Failed { kind, reason } = self;
        write!(f, "{kind:?}: {reason}")
    }
}

impl std::error::Error for HubFailure {}

impl From<hubwire::ErrorKind> for ErrorKind {
    fn from(kind: hubwire::ErrorKind) -> Self {
        use hubwire::ErrorKind as Core;
        match kind {
            Core::Misuse => Self::Misuse,
            Core::Refused => Self::Refused,
            Core::Network => Self::Network,
            Core::Timeout => Self::Timeout,
            Core::Cancelled => Self::Cancelled,
            Core::Overflow => Self::Overflow,
            Core::Gap => Self::Gap,
            Core::OutcomeUnknown => Self::OutcomeUnknown,
            // The core may get kinds that this version does not know: something was not as it should be.
            _ => Self::Protocol,
        }
    }
}

impl From<&hubwire::Error> for Fault {
    fn from(error: &hubwire::Error) -> Self {
        Self { kind: error.kind().into(), reason: error.detail().to_owned() }
    }
}

impl From<hubwire::Error> for HubFailure {
    fn from(error: hubwire::Error) -> Self {
        let Fault { kind, reason } = Fault::from(&error);
        Self::Failed { kind, reason }
    }
}
