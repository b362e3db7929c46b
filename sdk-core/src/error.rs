use alloc::borrow::Cow;
use core::fmt;

use crate::text::joined;

/// What went wrong, and whose fault it is.
///
/// The kind is stable and the same, by name, in every language; the detail is text for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    detail: Cow<'static, str>,
}

impl Error {
    /// An error of that kind.
    // Not inlined: it has many callers, and none of them is in a hurry.
    #[inline(never)]
    pub fn new(kind: ErrorKind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, detail: detail.into() }
    }

    /// Whose fault it is.
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The text, without the kind.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The same error with something said before it.
    pub(crate) fn in_context(self, context: &str) -> Self {
        Self { kind: self.kind, detail: joined(&[context, &self.detail]).into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl core::error::Error for Error {}

impl From<crate::protocol::ProtocolError> for Error {
    fn from(error: crate::protocol::ProtocolError) -> Self {
        let kind = match error {
            #[cfg(feature = "codec")]
            crate::protocol::ProtocolError::PayloadEncoding { .. } => ErrorKind::Misuse,
            crate::protocol::ProtocolError::TooLarge { .. } => ErrorKind::Overflow,
            _ => ErrorKind::Protocol,
        };
        Self::new(kind, error.text())
    }
}

/// Whose fault an [`Error`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The caller used the API in a way that cannot work.
    Misuse,
    /// The peer broke the rules of the protocol.
    Protocol,
    /// The peer said no; the detail is its text.
    Refused,
    /// The network failed, or the peer went away.
    Network,
    /// Something did not come in time.
    Timeout,
    /// The caller took it back.
    Cancelled,
    /// A limit of this library was reached.
    Overflow,
    /// Messages were lost and cannot be had any more.
    Gap,
    /// A call was sent and the connection ended before its answer: it may or may not have run.
    OutcomeUnknown,
}

impl ErrorKind {
    /// The name of the kind, the same in every language.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Misuse => "Misuse",
            Self::Protocol => "Protocol",
            Self::Refused => "Refused",
            Self::Network => "Network",
            Self::Timeout => "Timeout",
            Self::Cancelled => "Cancelled",
            Self::Overflow => "Overflow",
            Self::Gap => "Gap",
            Self::OutcomeUnknown => "OutcomeUnknown",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
