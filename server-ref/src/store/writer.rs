//! What waits for the store: changes from all hubs, written together.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::{Change, DeliveryStore};

/// Called with what became of the changes, on a thread that may block.
type Done = Box<dyn FnOnce(Result<(), String>) + Send>;

/// How many changes leave as one, so that nobody waits for very many others. What was given together stays together.
const GROUP: usize = 1024;

/// Gives changes to a store, in the order in which they came and as many at once as have come.
///
/// It has no limit of its own: whoever gives it something has a limit for what waits.
pub(crate) struct Writer {
    store: Arc<dyn DeliveryStore>,
    queue: Mutex<Queue>,
    /// Told when nothing waits any more.
    idle: Notify,
    runtime: OnceLock<Handle>,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<(Vec<Change>, Done)>,
    /// Whether a thread is at it.
    busy: bool,
}

impl Writer {
    pub(crate) fn new(store: Arc<dyn DeliveryStore>) -> Arc<Self> {
        let writer = Self { store, queue: Mutex::default(), idle: Notify::new(), runtime: OnceLock::new() };
        // Blocking threads of the runtime are waited for at its end.
        writer.runtime();
        Arc::new(writer)
    }

    pub(crate) fn store(&self) -> &dyn DeliveryStore {
        &*self.store
    }

    /// Has changes made, all or none of them. May be called with locks held: `done` comes from another thread.
    pub(crate) fn write(
        self: &Arc<Self>,
        changes: Vec<Change>,
        done: impl FnOnce(Result<(), String>) + Send + 'static,
    ) {
        let mut queue = self.queue.lock();
        queue.waiting.push((changes, Box::new(done)));
        if std::mem::replace(&mut queue.busy, true) {
            return;
        }
        drop(queue);
        let this = self.clone();
        let run = move || this.run();
        match self.runtime() {
            Some(runtime) => drop(runtime.spawn_blocking(run)),
            None => drop(std::thread::spawn(run)),
        }
    }

    fn run(&self) {
        while let Some(group) = self.next_group() {
            let (changes, done): (Vec<_>, Vec<_>) = group.into_iter().unzip();
            let result = self.apply(&changes.concat());
            if let Err(error) = &result {
                tracing::error!(error, "the store failed");
            }
            for done in done {
                // One that panics must not keep the others waiting.
                let done = AssertUnwindSafe(|| done(result.clone()));
                if std::panic::catch_unwind(done).is_err() {
                    tracing::error!("what waited for the store panicked");
                }
            }
        }
        self.idle.notify_waiters();
    }

    fn next_group(&self) -> Option<Vec<(Vec<Change>, Done)>> {
        let mut queue = self.queue.lock();
        if queue.waiting.is_empty() {
            queue.busy = false;
            return None;
        }
        let mut count = 0;
        let fits = queue.waiting.iter().take_while(|(changes, _)| {
            let first = count == 0;
            count += changes.len().max(1);
            first || count <= GROUP
        });
        let fits = fits.count();
        Some(queue.waiting.drain(..fits).collect())
    }

    /// Writes at once, and blocks.
    pub(crate) fn apply(&self, changes: &[Change]) -> Result<(), String> {
        if changes.is_empty() {
            return Ok(());
        }
        match std::panic::catch_unwind(AssertUnwindSafe(|| self.store.apply(changes))) {
            Ok(result) => result.map_err(|error| error.to_string()),
            Err(_) => Err("the store panicked".into()),
        }
    }

    /// Waits until nothing waits for the store.
    pub(crate) async fn flushed(&self) {
        loop {
            let told = self.idle.notified();
            tokio::pin!(told);
            // Before the check, so that an end in between is not missed.
            told.as_mut().enable();
            if !self.queue.lock().busy {
                return;
            }
            told.await;
        }
    }

    fn runtime(&self) -> Option<&Handle> {
        if self.runtime.get().is_none()
            && let Ok(handle) = Handle::try_current()
        {
            // If somebody else was faster, theirs is as good.
            let _ = self.runtime.set(handle);
        }
        self.runtime.get()
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("store", &self.store).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::super::{Loaded, StoreError};
    use super::*;

    /// Waits before each transaction until it is told how that ends.
    #[derive(Debug)]
    struct Stepped {
        steps: Mutex<mpsc::Receiver<Result<(), StoreError>>>,
        sizes: Mutex<Vec<usize>>,
    }

    impl DeliveryStore for Stepped {
        fn load(&self, _: &str) -> Result<Loaded, StoreError> {
            Ok(Loaded::default())
        }

        fn apply(&self, changes: &[Change]) -> Result<(), StoreError> {
            self.sizes.lock().push(changes.len());
            self.steps.lock().recv().unwrap()
        }
    }

    fn changes(count: usize) -> Vec<Change> {
        vec![Change::Delete { table: "t".into(), key: vec![1] }; count]
    }

    #[test]
    fn what_comes_meanwhile_is_written_together_and_in_order() {
        let (step, steps) = mpsc::channel();
        let store = Arc::new(Stepped { steps: Mutex::new(steps), sizes: Mutex::default() });
        let writer = Writer::new(Arc::new(store.clone()));
        let (sender, done) = mpsc::channel();
        let write = |index: usize, count: usize| {
            let sender = sender.clone();
            writer.write(changes(count), move |result| sender.send((index, result)).unwrap());
        };
        write(0, 1);
        while store.sizes.lock().is_empty() {
            std::thread::yield_now();
        }
        write(1, 2);
        write(2, 3);
        // Too much for one; and more than one, which is never torn.
        write(3, GROUP);
        write(4, GROUP + 1);
        let failed = StoreError::Io("full".into());
        for result in [Ok(()), Err(failed.clone()), Ok(()), Ok(())] {
            step.send(result).unwrap();
        }
        let results: Vec<_> = (0..5).map(|_| done.recv().unwrap()).collect();
        let failed = Err(failed.to_string());
        assert_eq!(results, [(0, Ok(())), (1, failed.clone()), (2, failed), (3, Ok(())), (4, Ok(()))]);
        assert_eq!(*store.sizes.lock(), [1, 5, GROUP, GROUP + 1]);
        // One that panics is reported as failed, and the next one is written.
        drop(step);
        write(5, 1);
        assert_eq!(done.recv().unwrap(), (5, Err("the store panicked".into())));
    }
}
