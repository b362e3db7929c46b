use std::fmt;
use std::path::PathBuf;

use crate::{Error, ErrorKind};

/// Why a store did not do what it was asked. The texts name the store and what can be done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreError {
    /// Its limit or the disk's was reached; what it kept before is still there.
    Full(String),
    /// The operating system refused or failed.
    Io(String),
    /// What it keeps is damaged.
    Corrupt {
        /// What is wrong with it.
        detail: String,
        /// Where the damaged store is now, if it was renamed.
        set_aside: Option<PathBuf>,
    },
    /// A newer version of the library wrote it; it was not touched.
    NewerVersion {
        /// Which store.
        store: String,
        /// The version of its format.
        found: u64,
        /// The newest version this library knows.
        known: u64,
    },
    /// Somebody else has it open.
    InUse(String),
    /// It is healthy, but something else wrote it; it was not touched.
    NotAStore(String),
    /// An option or a call that cannot work.
    Invalid(String),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(text)
            | Self::Io(text)
            | Self::InUse(text)
            | Self::NotAStore(text)
            | Self::Invalid(text) => f.write_str(text),
            Self::Corrupt { detail, set_aside: None } => f.write_str(detail),
            Self::Corrupt { detail, set_aside: Some(to) } => {
                write!(f, "{detail}; it was renamed to {}", to.display())
            }
            Self::NewerVersion { store, found, known } => write!(
                f,
                "the store {store} has format {found}, and this version of hubwire knows {known}: use the version \
                 that wrote it, or another file"
            ),
        }
    }
}

impl std::error::Error for StoreError {}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        let kind = match error {
            StoreError::Full(_) => ErrorKind::Overflow,
            // The operating system said no, and the detail is its text.
            StoreError::Io(_) => ErrorKind::Refused,
            // Calls were kept and cannot be had any more.
            StoreError::Corrupt { .. } => ErrorKind::Gap,
            // Another file, or another version, and it works.
            StoreError::NewerVersion { .. }
            | StoreError::InUse(_)
            | StoreError::NotAStore(_)
            | StoreError::Invalid(_) => ErrorKind::Misuse,
        };
        Self::new(kind, error.to_string())
    }
}
