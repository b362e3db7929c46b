use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Whether the server goes down. Every connection looks at it all the time, so looking takes no lock.
#[derive(Debug, Default)]
pub(crate) struct Shutdown {
    begun: AtomicBool,
    token: CancellationToken,
}

impl Shutdown {
    pub(crate) fn begin(&self) {
        self.begun.store(true, Ordering::Release);
        self.token.cancel();
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Acquire)
    }
}

/// Wakes a task when the server goes down.
pub(crate) struct ShutdownWaker {
    future: Pin<Box<WaitForCancellationFutureOwned>>,
    registered: Option<Waker>,
}

impl ShutdownWaker {
    pub(crate) fn new(shutdown: &Shutdown) -> Self {
        Self { future: Box::pin(shutdown.token.clone().cancelled_owned()), registered: None }
    }

    /// Registers the task, unless it is.
    pub(crate) fn register(&mut self, cx: &mut Context<'_>) {
        if self.registered.as_ref().is_none_or(|waker| !waker.will_wake(cx.waker())) {
            self.registered = Some(cx.waker().clone());
            // What it says does not matter: `has_begun` is looked at after that.
            let _ = self.future.as_mut().poll(cx);
        }
    }
}
