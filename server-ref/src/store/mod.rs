//! Where a server keeps what has to survive its end: records of bytes by name, in tables.
//!
//! A store knows nothing of what is in it. Whoever uses it has tables of its own, and versions its records itself.

mod memory;
mod redb;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

pub use self::memory::MemoryStore;
pub use self::redb::RedbDeliveryStore;

/// Keeps records for a server. The hubs of one server share it; one server at a time has it.
pub trait DeliveryStore: fmt::Debug + Send + Sync + 'static {
    /// All records of a table, in the order of their keys; a table that nobody wrote to is empty. Blocks.
    ///
    /// A damaged record is set aside, so that it is neither lost nor met again, and counted.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn load(&self, table: &str) -> Result<Loaded, StoreError>;

    /// Makes all of the changes, in their order, or none. When it returns they are there whatever happens to the process
    /// and the machine. Blocks.
    ///
    /// # Errors
    /// When nothing was written; or, if that cannot be known, perhaps everything.
    fn apply(&self, changes: &[Change]) -> Result<(), StoreError>;
}

impl<S: DeliveryStore + ?Sized> DeliveryStore for Arc<S> {
    fn load(&self, table: &str) -> Result<Loaded, StoreError> {
        (**self).load(table)
    }

    fn apply(&self, changes: &[Change]) -> Result<(), StoreError> {
        (**self).apply(changes)
    }
}

/// What a table held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Key and value of each record, in the order of the keys.
    pub records: Vec<(Vec<u8>, Vec<u8>)>,
    /// How many records were damaged and set aside.
    pub set_aside: usize,
}

/// A change to a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The record has that value, whatever it was before.
    Put {
        /// The table.
        table: Arc<str>,
        /// The name of the record in it.
        key: Vec<u8>,
        /// What it is to be.
        value: Vec<u8>,
    },
    /// There is no such record; if there was none, nothing happens.
    Delete {
        /// The table.
        table: Arc<str>,
        /// The name of the record in it.
        key: Vec<u8>,
    },
}

/// Why a store cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreError {
    /// Somebody else has it.
    InUse(PathBuf),
    /// A later version of this crate made it.
    NewerVersion(u64),
    /// It is damaged as a whole, or something else.
    Corrupt(String),
    /// Reading or writing failed.
    Io(String),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse(path) => write!(f, "'{}' is in use by another process", path.display()),
            Self::NewerVersion(format) => {
                write!(f, "the store has the format {format}, which is a later one")
            }
            Self::Corrupt(detail) => write!(f, "the store cannot be read: {detail}"),
            Self::Io(detail) => f.write_str(detail),
        }
    }
}

impl std::error::Error for StoreError {}
