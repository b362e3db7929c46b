use std::fmt;
use std::sync::Arc;
use std::task::{Context, Waker};

use parking_lot::Mutex;

/// Where a new transport waits for the task of the connection that goes on over it.
pub(crate) struct LinkSlot<T>(Mutex<Inner<T>>);

struct Inner<T> {
    /// Boxed, because every connection has a slot and few ever need it.
    link: Option<Box<T>>,
    open: bool,
    task: Option<Waker>,
}

impl<T> LinkSlot<T> {
    /// A slot that takes nothing until it is opened.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Inner { link: None, open: false, task: None })))
    }

    /// Whether the connection can go on over another transport.
    pub(crate) fn is_open(&self) -> bool {
        self.0.lock().open
    }

    pub(crate) fn set_open(&self, open: bool) {
        let mut inner = self.0.lock();
        inner.open = open;
        let link = if open { None } else { inner.link.take() };
        drop(inner);
        drop(link);
    }

    /// Puts a transport in, in place of one that was not taken yet.
    pub(crate) fn offer(&self, link: T) {
        let mut inner = self.0.lock();
        if !inner.open {
            return;
        }
        let before = inner.link.replace(Box::new(link));
        let task = inner.task.take();
        drop(inner);
        drop(before);
        if let Some(task) = task {
            task.wake();
        }
    }

    /// The transport, if there is one; otherwise the task is woken when there is.
    pub(crate) fn take(&self, cx: &Context<'_>) -> Option<T> {
        let mut inner = self.0.lock();
        let link = inner.link.take();
        if link.is_none() && inner.task.as_ref().is_none_or(|task| !task.will_wake(cx.waker())) {
            inner.task = Some(cx.waker().clone());
        }
        link.map(|link| *link)
    }
}

impl<T> fmt::Debug for LinkSlot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkSlot(..)")
    }
}
