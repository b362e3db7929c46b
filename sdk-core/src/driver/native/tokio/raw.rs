//! The driver under a binding: commands with ids of the caller's, and notices instead of futures.

use super::{Delivery, Driver};
use crate::client::{CallId, Command, ConnectionState, Event, Input};
use crate::driver::native::StateChange;
use crate::driver::native::raw::{Notice, OVER, RawRequest};
use crate::protocol::Payload;
use crate::{Error, ErrorKind};

/// What is known of the commands of a binding.
#[derive(Default)]
pub(super) struct Raw {
    /// How many were taken from the queue.
    pub(super) taken: u64,
    /// The last call that was taken: ids grow.
    last: CallId,
    /// Calls that were taken back before they came.
    cancelled: Vec<CallId>,
    /// Stops that are not done.
    stops: usize,
    /// A change that is told with the next question to a policy, or on its own before anything else.
    pub(super) held: Option<StateChange>,
}

impl Driver {
    pub(super) fn notice(&mut self, notice: Notice) {
        self.deliver(Delivery::Notice(notice));
    }

    pub(super) fn tell_held(&mut self) {
        if let Some(change) = self.raw.held.take() {
            self.notice(Notice::State(change));
        }
    }

    pub(super) fn handle_raw(&mut self, request: RawRequest) {
        self.raw.taken += 1;
        let bytes = request.byte_len();
        if self.outlet.queued().is_some_and(|queued| queued.taken(bytes)) {
            self.notice(Notice::Room);
        }
        match request {
            RawRequest::Start(ticket) => self.start_raw(ticket),
            RawRequest::Call(call) => {
                let id = CallId(call.call.0 & !OVER);
                self.raw.last = self.raw.last.max(id);
                let is_cancelled = self.raw.cancelled.contains(&id);
                // One that was refused when it was made never comes.
                self.raw.cancelled.retain(|cancelled| *cancelled > id);
                if is_cancelled {
                    let error =
                        Error::new(ErrorKind::Cancelled, "The call was taken back before it was sent.");
                    return self.notice(Notice::Completed(id, Err(error)));
                }
                self.command(Command::Call(call));
            }
            RawRequest::Item(upload, item) => self.command(Command::Item { upload, item }),
            RawRequest::EndUpload(upload, error) => self.command(Command::EndUpload { upload, error }),
        }
    }

    fn start_raw(&mut self, ticket: u64) {
        if let Some(error) = self.storage.error() {
            let error = error.clone();
            return self.notice(Notice::NotStarted(ticket, error));
        }
        let now = self.now();
        match self.client.handle(now, Input::Command(Command::Start)) {
            Ok(()) => self.drain(),
            Err(misuse) => self.notice(Notice::NotStarted(ticket, misuse.into())),
        }
    }

    pub(super) fn stop_raw(&mut self) {
        self.raw.stops += 1;
        self.command(Command::Stop);
        if self.client.state() == ConnectionState::Disconnected {
            self.tell_stopped();
        }
    }

    /// The connection is disconnected.
    pub(super) fn tell_stopped(&mut self) {
        for _ in 0..std::mem::take(&mut self.raw.stops) {
            self.notice(Notice::Stopped);
        }
    }

    /// Takes a call back, even if it is still on its way.
    pub(super) fn cancel(&mut self, call: CallId) {
        if self.outlet.is_raw() && call > self.raw.last && call.0 < OVER {
            self.raw.cancelled.push(call);
        } else {
            self.command(Command::Cancel(call));
        }
    }

    /// Tells a binding what is told to waiters and tasks otherwise. Gives back what is the same for all.
    pub(super) fn tell_raw(&mut self, event: Event<Payload>) -> Option<Event<Payload>> {
        let notice = match event {
            Event::InvocationCancelled(reply) => Notice::InvocationCancelled(reply),
            Event::Queued(call) => Notice::Queued(call),
            Event::UploadStarted(upload) => Notice::UploadStarted(upload),
            Event::UploadStopped(upload) => Notice::UploadStopped(upload),
            Event::Item { call, item } => Notice::Item(call, item),
            // Nobody waits for those; that one came to nothing is still worth knowing.
            Event::Completed { call, result: Ok(_) } if call.0 & OVER != 0 => return None,
            Event::Completed { call, result } => Notice::Completed(call, result),
            other => return Some(other),
        };
        self.notice(notice);
        None
    }
}
