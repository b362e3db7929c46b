//! Where queued calls are kept: what the driver asks of a store, and the stores that come with the library.

mod error;
mod memory;
// Only stores that write bytes need it, and of those there is one.
#[cfg(feature = "redb")]
mod record;
#[cfg(feature = "redb")]
mod redb;
mod report;

pub use self::error::StoreError;
pub use self::memory::MemoryStore;
#[cfg(feature = "redb")]
pub use self::redb::{RedbStore, RedbStoreOptions, WhenCorrupt};
pub use self::report::StoreReport;

use crate::client::{Restored, StoreOp};
use crate::protocol::Payload;

/// Keeps queued calls, so that they outlive the process.
///
/// The driver uses a store from one thread of its own, which may block.
pub trait OutboxStore: Send + 'static {
    /// Everything that is kept; called once, before anything else.
    ///
    /// # Errors
    /// When it cannot be read. The connection is not made then: going on without the calls would lose them.
    fn load(&mut self) -> Result<Restored<Payload>, StoreError>;

    /// Durable when it returns: all of the batch or nothing.
    ///
    /// # Errors
    /// When it is not kept. If the process ends before the next call succeeds, the batch may be there after all, but
    /// never a part of it.
    fn apply(&mut self, batch: &[StoreOp<Payload>]) -> Result<(), StoreError>;

    /// What [`load`](Self::load) could not give back as it was, each reported once per load. Empty for a store that
    /// cannot be damaged.
    fn take_reports(&mut self) -> Vec<StoreReport> {
        Vec::new()
    }
}
