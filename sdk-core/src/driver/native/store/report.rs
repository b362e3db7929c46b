use std::fmt;
use std::path::PathBuf;

use crate::client::Sequence;

/// Something a store could not give back as it was. Nothing of it was deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreReport {
    /// The whole store was unreadable: it was renamed, and an empty one took its place.
    SetAside {
        /// What was wrong with it.
        detail: String,
        /// Where it is now.
        to: PathBuf,
    },
    /// One call was unreadable: it is kept in the same store, apart from the others, and is not sent.
    Quarantined {
        /// Its place in the store.
        sequence: Sequence,
        /// What was wrong with it.
        detail: String,
    },
    /// There was a store without any content: it was never finished, or something else wiped it.
    Blank {
        /// Which one.
        detail: String,
    },
}

impl fmt::Display for StoreReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetAside { detail, to } => {
                write!(f, "{detail}; it was renamed to {} and an empty store took its place", to.display())
            }
            Self::Quarantined { sequence, detail } => {
                write!(f, "the queued call {} cannot be read and is kept apart: {detail}", sequence.0)
            }
            Self::Blank { detail } => f.write_str(detail),
        }
    }
}
