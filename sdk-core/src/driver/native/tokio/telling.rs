//! What the client tells, handed on: to whoever waits for a call, to the handlers, or to a binding. What they do not take in
//! time waits.

use std::collections::VecDeque;

use ::tokio::sync::mpsc;

use super::{Driver, Outlet, Waiter};
use crate::client::{CallId, Cause, ConnectionState, Event, Input};
use crate::driver::native::raw::Notice;
use crate::driver::native::{ConnectionEvent, StateChange};
use crate::protocol::Payload;
use crate::{Error, ErrorKind};

/// Something for the application that could not be handed over at once.
pub(super) enum Delivery {
    Notice(Notice),
    Item(mpsc::Sender<Result<Payload, Error>>, Result<Payload, Error>),
}

impl Driver {
    pub(super) fn handle_event(&mut self, event: Event<Payload>) {
        let event = if self.outlet.is_raw() { self.tell_raw(event) } else { Some(event) };
        let Some(event) = event else { return };
        match event {
            Event::StateChanged { state, cause } => self.state_changed(state, cause),
            Event::Invocation { target, arguments, reply, delivery } => {
                self.deliver(Delivery::Notice(Notice::Invocation { target, arguments, reply, delivery }));
            }
            Event::Gap { source, error } => {
                tracing::warn!(%source, %error, "messages were lost");
                self.notify(ConnectionEvent::Gap { source, error });
            }
            // Handlers run to their end; the client drops an answer that comes too late.
            Event::InvocationCancelled(_) => {}
            Event::Resumed => {
                tracing::debug!("the transport was lost and replaced");
                self.notify(ConnectionEvent::Resumed);
            }
            Event::TokenRefreshed(result) => {
                match &result {
                    Ok(()) => tracing::debug!("the access token was refreshed"),
                    Err(error) => tracing::warn!(%error, "the access token could not be refreshed"),
                }
                self.notify(ConnectionEvent::TokenRefreshed(result));
            }
            Event::RetryScheduled { previous_retry_count, delay, reason } => {
                self.http.forget_connections();
                tracing::warn!(previous_retry_count, ?delay, %reason, "not connected; will try again");
                self.notify(ConnectionEvent::RetryScheduled { previous_retry_count, delay, reason });
            }
            Event::OutboxChanged(progress) => {
                self.status.send_modify(|status| status.outbox = progress);
                self.notify(ConnectionEvent::OutboxChanged(progress));
            }
            Event::StoreFailed(error) => {
                tracing::error!(%error, "the store of the outbox could not be written");
                self.notify(ConnectionEvent::StoreFailed(error));
            }
            Event::RejoinFailed { target, error } => {
                tracing::warn!(%target, %error, "could not join again after a new connection");
                self.notify(ConnectionEvent::RejoinFailed { target: target.into(), error });
            }
            Event::QualityChanged(quality) => {
                self.status.send_modify(|status| status.quality = quality);
                self.notify(ConnectionEvent::QualityChanged(quality));
            }
            Event::Queued(call) => {
                if let Some(accepted) = self.accepting.remove(&call) {
                    let _ = accepted.send(Ok(()));
                }
            }
            Event::UploadStarted(upload) => self.start_upload(upload),
            Event::Completed { call, result } => match self.ended(call, &result) {
                Some(Waiter::Send(reply)) => drop(reply.send(result.map(drop))),
                Some(Waiter::Invoke(reply)) => drop(reply.send(result)),
                Some(Waiter::Stream(items)) => {
                    // Dropping the sender ends the stream behind the items that still wait.
                    if let Err(error) = result {
                        self.deliver(Delivery::Item(items, Err(error)));
                    }
                }
                None => {}
            },
            Event::Item { call, item } => {
                if let Some(Waiter::Stream(items)) = self.waiters.get(&call) {
                    let items = items.clone();
                    self.deliver(Delivery::Item(items, Ok(item)));
                }
            }
            Event::UploadStopped(upload) => {
                self.waiting_uploads.remove(&upload);
                if let Some(task) = self.uploads.remove(&upload) {
                    task.abort();
                }
            }
        }
    }

    /// Who waits for a call that has ended.
    fn ended(&mut self, call: CallId, result: &Result<Option<Payload>, Error>) -> Option<Waiter> {
        if let Some(accepted) = self.accepting.remove(&call) {
            let _ = accepted.send(result.as_ref().map(drop).map_err(Error::clone));
        }
        self.waiters.remove(&call)
    }

    fn state_changed(&mut self, state: ConnectionState, cause: Cause) {
        let connection_id = match &cause {
            Cause::Established { connection_id, .. } => connection_id.clone(),
            _ => None,
        };
        if let Some(queued) = self.outlet.queued() {
            queued.set_connected(state == ConnectionState::Connected);
        }
        let mut before = ConnectionState::default();
        self.status.send_modify(|status| {
            before = std::mem::replace(&mut status.state, state);
            status.connection_id = connection_id;
        });
        if state == ConnectionState::Connected {
            for waiter in self.start_waiters.drain(..) {
                let _ = waiter.send(Ok(()));
            }
        }
        if state == ConnectionState::Disconnected {
            let error = match &cause {
                Cause::Failed(error) => error.clone(),
                Cause::ServerClosed { .. } => {
                    Error::new(ErrorKind::Refused, "The server closed the connection.")
                }
                _ => {
                    Error::new(ErrorKind::Cancelled, "The connection was stopped before it could be started.")
                }
            };
            for waiter in self.start_waiters.drain(..) {
                let _ = waiter.send(Err(error.clone()));
            }
            // Dropping the sender answers.
            self.stop_waiters.clear();
        }
        let is_over = state == ConnectionState::Disconnected;
        if is_over {
            // Some may have died with the one that was lost.
            self.http.forget_connections();
        }
        let change = StateChange { from: before, to: state, cause };
        tracing::debug!(from = %change.from, to = %change.to, cause = ?change.cause, "state changed");
        if state == ConnectionState::Reconnecting && self.outlet.is_raw() {
            // A policy may be asked next.
            self.raw.held = Some(change);
            return;
        }
        self.deliver(Delivery::Notice(Notice::State(change)));
        if is_over {
            self.tell_stopped();
        }
    }

    /// Hands something to the application, or keeps it until there is room.
    pub(super) fn deliver(&mut self, delivery: Delivery) {
        use mpsc::error::TrySendError;

        self.tell_held();
        if self.backlog.is_empty() {
            let kept = match delivery {
                Delivery::Notice(notice) => self.outlet.give(notice).map(Delivery::Notice),
                Delivery::Item(items, item) => match items.try_send(item) {
                    Err(TrySendError::Full(item)) => Some(Delivery::Item(items, item)),
                    Ok(()) | Err(TrySendError::Closed(_)) => None,
                },
            };
            let Some(kept) = kept else { return };
            self.backlog.push_back(kept);
            // Part of a drain: what this puts out is taken by the same one.
            let now = self.now();
            let _ = self.client.handle(now, Input::Paused);
        } else {
            self.backlog.push_back(delivery);
        }
    }

    /// Tells the application, if it listens.
    fn notify(&mut self, event: ConnectionEvent) {
        if self.outlet.is_raw() || self.handlers.has_event_handlers() {
            self.notice(Notice::Event(event));
        }
    }
}

/// Hands over the first of the backlog as soon as there is room. Loses nothing when dropped.
pub(super) async fn deliver_first(backlog: &mut VecDeque<Delivery>, outlet: &mut Outlet) {
    match backlog.front() {
        None => return,
        Some(Delivery::Notice(_)) => {
            outlet.room().await;
            if let Some(Delivery::Notice(notice)) = backlog.pop_front()
                && let Some(notice) = outlet.give(notice)
            {
                backlog.push_front(Delivery::Notice(notice));
            }
            return;
        }
        Some(Delivery::Item(items, _)) => {
            let items = items.clone();
            if let Ok(permit) = items.reserve().await
                && let Some(Delivery::Item(_, item)) = backlog.pop_front()
            {
                permit.send(item);
                return;
            }
        }
    }
    // Nobody takes it any more.
    backlog.pop_front();
}
