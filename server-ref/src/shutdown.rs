use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Whether the server goes down. Every connection looks at it all the time, so looking takes no lock.
#[derive(Debug, Default)]
pub(crate) struct Shutdown {
    begun: AtomicBool,
    /// How many clients were told when to come back.
    told: AtomicU32,
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

    /// When the next client is to come back, within the window. However many there are, they are spread evenly: the
    /// multiples of the golden ratio, without their whole parts, never crowd.
    pub(crate) fn slot(&self, window: Duration) -> Duration {
        const GOLDEN: u32 = 0x9e37_79b9;
        let fraction = self.told.fetch_add(1, Ordering::Relaxed).wrapping_mul(GOLDEN);
        window.mul_f64(f64::from(fraction) / f64::from(u32::MAX))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_come_back_evenly_over_the_window() {
        let window = Duration::from_secs(10);
        for clients in [10_u32, 100, 1000, 10_000] {
            let shutdown = Shutdown::default();
            let mut per_second = [0_u32; 10];
            for _ in 0..clients {
                let slot = shutdown.slot(window);
                assert!(slot <= window);
                per_second[(slot.as_secs() as usize).min(9)] += 1;
            }
            let mean = clients / 10;
            // Three gaps of neighbouring sizes at most.
            assert!(per_second.iter().all(|count| count.abs_diff(mean) <= 2), "{clients}: {per_second:?}");
        }
    }
}
