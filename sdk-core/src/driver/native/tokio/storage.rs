//! The store of the outbox, on threads that may block, and what is left when it fails.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::client::{Restored, StoreOp};
use crate::driver::native::store::{OutboxStore, StoreReport};
use crate::protocol::Payload;
use crate::{Error, ErrorKind};

/// A connection's store, if it has one.
#[derive(Default)]
pub(super) struct Storage {
    /// None while it is being written, without one, and when it cannot be used.
    store: Option<Box<dyn OutboxStore>>,
    /// Why it cannot be used.
    error: Option<Error>,
    reports: Vec<StoreReport>,
}

/// The store comes back with its answer, unless it panicked.
pub(super) struct Written {
    store: Option<Box<dyn OutboxStore>>,
    result: Result<(), Error>,
}

impl Storage {
    pub(super) fn new(store: Option<Box<dyn OutboxStore>>) -> Self {
        Self { store, ..Self::default() }
    }

    /// Whether there is none.
    pub(super) const fn is_none(&self) -> bool {
        self.store.is_none()
    }

    /// Why the calls that it may hold cannot be had: to go on without them would lose them.
    pub(super) const fn error(&self) -> Option<&Error> {
        self.error.as_ref()
    }

    /// What was found damaged, once.
    pub(super) fn take_reports(&mut self) -> Vec<StoreReport> {
        std::mem::take(&mut self.reports)
    }

    /// Everything that it holds; nothing without a store and when it cannot be read.
    pub(super) async fn load(&mut self) -> Option<Restored<Payload>> {
        let mut store = self.store.take()?;
        let loaded = tokio::task::spawn_blocking(move || {
            let restored = store.load();
            let reports = store.take_reports();
            (store, restored, reports)
        });
        let (store, restored, reports) = match loaded.await {
            Ok((store, Ok(restored), reports)) => (store, restored, reports),
            Ok((_, Err(error), _)) => return self.fail(error.into()),
            Err(panic) => {
                let text = format!("The store of the outbox cannot be read: {panic}");
                return self.fail(Error::new(ErrorKind::Misuse, text));
            }
        };
        for report in &reports {
            tracing::error!(%report, "the store of the outbox was damaged");
        }
        (self.store, self.reports) = (Some(store), reports);
        Some(restored)
    }

    fn fail<T>(&mut self, error: Error) -> Option<T> {
        tracing::error!(%error, "the store of the outbox cannot be read");
        self.error = Some(error);
        None
    }

    /// Writes a batch, to be run on a thread that may block; what it gives is for [`written`](Self::written).
    pub(super) fn write(
        &mut self,
        ops: Vec<StoreOp<Payload>>,
    ) -> impl FnOnce() -> Written + Send + 'static + use<> {
        let (store, error) = (self.store.take(), self.error.clone());
        move || {
            let panicked = || Error::new(ErrorKind::Misuse, "The store of the outbox panicked.");
            let Some(mut store) = store else {
                return Written { store: None, result: Err(error.unwrap_or_else(panicked)) };
            };
            match catch_unwind(AssertUnwindSafe(|| store.apply(&ops))) {
                Ok(result) => Written { store: Some(store), result: result.map_err(Error::from) },
                // Nobody knows what it holds now: the next process finds out.
                Err(_) => Written { store: None, result: Err(panicked()) },
            }
        }
    }

    pub(super) fn written(&mut self, written: Written) -> Result<(), Error> {
        self.store = written.store;
        written.result
    }
}
