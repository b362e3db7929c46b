//! Where everything goes that the application is to know: to its handlers, or to a binding.

use std::future::poll_fn;
use std::sync::Arc;

use ::tokio::sync::mpsc;

use crate::driver::native::raw::{Listener, Notice, Queued};

/// Messages that may wait for the task that runs handlers.
const NOTICES: usize = 256;

/// The receiving end, and how to know whether there is room.
pub(in crate::driver::native) enum Outlet {
    /// The task that runs handlers.
    Handlers(mpsc::Sender<Notice>),
    Listener {
        listener: Box<dyn Listener>,
        queued: Arc<Queued>,
        is_flushed: bool,
        is_over: bool,
    },
}

impl Outlet {
    /// For handlers, with what their task reads.
    pub(in crate::driver::native) fn handlers() -> (Self, mpsc::Receiver<Notice>) {
        let (notices, queue) = mpsc::channel(NOTICES);
        (Self::Handlers(notices), queue)
    }

    pub(in crate::driver::native) fn listener(listener: impl Listener, queued: Arc<Queued>) -> Self {
        Self::Listener { listener: Box::new(listener), queued, is_flushed: true, is_over: true }
    }

    /// Whether calls have ids of the caller's, and nobody waits for them in a future.
    pub(super) const fn is_raw(&self) -> bool {
        matches!(self, Self::Listener { .. })
    }

    /// What a binding has queued.
    pub(super) fn queued(&self) -> Option<&Queued> {
        match self {
            Self::Handlers(_) => None,
            Self::Listener { queued, .. } => Some(queued),
        }
    }

    /// Gives a notice, or gives it back if there is no room.
    pub(super) fn give(&mut self, notice: Notice) -> Option<Notice> {
        match self {
            Self::Handlers(notices) => match notices.try_send(notice) {
                Err(mpsc::error::TrySendError::Full(notice)) => Some(notice),
                // Nobody takes it any more.
                Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => None,
            },
            Self::Listener { listener, is_flushed, is_over, .. } => {
                let back = listener.notice(notice);
                *is_flushed &= back.is_some();
                *is_over &= back.is_some();
                back
            }
        }
    }

    /// What is given from now on came of something else.
    pub(super) fn turn_over(&mut self) {
        if let Self::Listener { listener, is_over, .. } = self
            && !std::mem::replace(is_over, true)
        {
            listener.turn_over();
        }
    }

    /// Whether something was given that nobody was told of.
    pub(super) const fn wants_flush(&self) -> bool {
        matches!(self, Self::Listener { is_flushed: false, .. })
    }

    /// Nothing more is known for now.
    pub(super) fn flush(&mut self) {
        if let Self::Listener { listener, is_flushed, .. } = self
            && !std::mem::replace(is_flushed, true)
        {
            listener.flush();
        }
    }

    /// Returns when there is room.
    pub(super) async fn room(&mut self) {
        match self {
            // Without a receiver there is room for everything.
            Self::Handlers(notices) => drop(notices.reserve().await),
            Self::Listener { listener, .. } => poll_fn(|cx| listener.poll_room(cx)).await,
        }
    }
}
