//! How calls are made, and how they end: the only file that moves a call between the application, the outbox and the
//! wire.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use crate::ByteString;
use crate::text::{decimal, joined, numbered};

use super::call::CallRequest;
use super::calls::{Finished, Owner, Pending};
use super::io::{BatchId, CallId, Event, Output};
use super::joins::{Join, Joins};
use super::outbox::{CallName, Departure, Entry, Removed};
use super::state::ConnectionState;
use super::stored::{CallKind, Sequence, StoredCall};
use super::table::Numbers;
use super::timers::Timer;
use super::{Client, Misuse};
use crate::protocol::delivery::ID_HEADER;
use crate::protocol::{
    Call, CancelInvocation, Completion, Headers, HubMessage, Invocation, OpaquePayload, Outcome,
    StreamInvocation,
};
use crate::{Error, ErrorKind, Time};

/// The official clients' texts.
const NOT_CONNECTED: &str = "Cannot send data if the connection is not in the 'Connected' State.";
const CONNECTION_CLOSED: &str = "Invocation canceled due to the underlying connection being closed.";
/// What .NET clients say when the caller of an upload goes away.
const UPLOAD_CANCELLED: &str = "Stream canceled by client.";
/// How often a call may be the only one in flight when the server ends the connection.
const CULPRIT: u8 = 3;
/// How long to wait before a store is asked again to forget what has ended.
const STORE_AGAIN: Duration = Duration::from_secs(1);

/// When calls are late or not worth sending any more. Each call has one entry at most.
pub(super) type Deadlines = Numbers<(Time, CallId), ()>;

impl<P: OpaquePayload> Client<P> {
    pub(super) fn call(&mut self, request: CallRequest<P>) -> Result<(), Misuse> {
        self.check_ids(&request)?;
        let CallRequest { call, kind, target, arguments, uploads, options } = request;
        let after = |time: Duration| self.now + time;
        let timeout = options.timeout.or(match kind {
            CallKind::Stream => None,
            CallKind::Send | CallKind::Invoke => self.config.call_timeout,
        });
        let queues = options.queue && self.config.outbox.max_items > 0;
        // Items of an upload are gone once they are sent, and so are those of a stream. To join twice is to join.
        let repeatable = queues && kind != CallKind::Stream && uploads.is_empty();
        let wanted = options.idempotent || options.durable;
        let idempotent = repeatable && (wanted || Joins::<P>::is_join(&self.config.joins, &target));
        let entry = Entry {
            call,
            kind,
            uploads,
            priority: options.priority,
            supersede_key: options.supersede_key,
            idempotent,
            durable: options.durable,
            queued_at: self.now,
            expires_at: options.expires_after.map(after),
            deadline: timeout.map(after),
            waited: false,
            named_for: None,
            suspected: 0,
            maybe_sent: false,
            target,
            arguments,
        };
        match self.refusal(&entry, queues, wanted) {
            Some(error) => self.refuse(entry, error),
            None => {
                self.joins.leave(&self.config.joins, &entry.target, &entry.arguments);
                // What may have to be made again is kept by the outbox.
                let keeps = entry.idempotent || (repeatable && self.established.memory.is_some());
                if self.state() == ConnectionState::Connected && self.outbox.is_idle() && !keeps {
                    self.transmit(Departure { entry, kept: None, name: None });
                } else {
                    self.queue(entry);
                }
            }
        }
        Ok(())
    }

    fn check_ids(&self, request: &CallRequest<P>) -> Result<(), Misuse> {
        if self.calls.contains(request.call) || self.outbox.contains(request.call) {
            return Err(Misuse::CallInUse(request.call));
        }
        for (index, upload) in request.uploads.iter().enumerate() {
            let in_use = self.calls.contains_upload(*upload) || self.outbox.contains_upload(*upload);
            if in_use || request.uploads[..index].contains(upload) {
                return Err(Misuse::UploadInUse(*upload));
            }
        }
        Ok(())
    }

    /// Why a call cannot even wait.
    fn refusal(&self, entry: &Entry<P>, queues: bool, repeated: bool) -> Option<Error> {
        let misuse = |text| Some(Error::new(ErrorKind::Misuse, text));
        if repeated && (entry.kind == CallKind::Stream || !entry.uploads.is_empty()) {
            return misuse(
                "A call with streams cannot be made again: it can be neither idempotent nor durable.",
            );
        }
        if entry.durable && !self.config.has_store {
            return misuse("A durable call needs a store for the outbox.");
        }
        if entry.durable && !queues {
            return misuse("A durable call cannot do without the outbox.");
        }
        let connected = self.state() == ConnectionState::Connected;
        if !connected && !queues {
            return misuse(NOT_CONNECTED);
        }
        let limit = self.config.max_pending_calls;
        if connected && self.calls.len() >= limit {
            return Some(Error::new(
                ErrorKind::Overflow,
                numbered("# calls are waiting already", &[limit as u64]),
            ));
        }
        None
    }

    fn refuse(&mut self, entry: Entry<P>, error: Error) {
        self.stop_uploads(&entry);
        self.event(Event::Completed { call: entry.call, result: Err(error) });
    }

    fn stop_uploads(&mut self, entry: &Entry<P>) {
        for upload in &entry.uploads {
            self.event(Event::UploadStopped(*upload));
        }
    }

    fn queue(&mut self, entry: Entry<P>) {
        let (call, durable, deadline) = (entry.call, entry.durable, entry.earliest_deadline());
        match self.outbox.push(entry, &self.config.outbox) {
            Err((entry, error)) => self.refuse(*entry, error),
            Ok(given_up) => {
                for (removed, error) in given_up {
                    self.end_queued(removed, error);
                }
                self.watch(call, deadline);
                // A call that goes out in the same drain has not waited.
                self.flush();
                if self.outbox.waiting(call).is_some() {
                    self.outbox.mark_waited(call);
                    if !durable {
                        self.event(Event::Queued(call));
                    }
                }
            }
        }
    }

    /// A call that waited, and will not be sent.
    fn end_queued(&mut self, removed: Removed<P>, error: Error) {
        let entry = &removed.entry;
        self.unwatch(entry.call, entry.earliest_deadline());
        self.stop_uploads(entry);
        let error = match (entry.maybe_sent, error.kind()) {
            (false, _) | (true, ErrorKind::Cancelled | ErrorKind::OutcomeUnknown) => error,
            (true, _) => Error::new(
                ErrorKind::OutcomeUnknown,
                joined(&[error.detail(), " It may have reached the server before."]),
            ),
        };
        self.end(removed, Err(error));
    }

    /// Tells how a call of the outbox ended, as soon as that is certain.
    fn end(&mut self, removed: Removed<P>, result: Result<Option<P>, Error>) {
        if let Some((call, result)) = self.outbox.end(removed, result) {
            self.event(Event::Completed { call, result });
        }
    }

    /// Sends what waits, as far as there is room for.
    pub(super) fn flush(&mut self) {
        while self.state() == ConnectionState::Connected
            && self.wants_calls()
            && self.calls.len() < self.config.max_pending_calls
            && let Some(first) = self.outbox.first()
            && (!first.waited || self.calls.queued() < self.window(first.maybe_sent))
        {
            let Some(departure) = self.outbox.take_next(self.established.memory.as_ref(), self.now) else {
                return;
            };
            self.unwatch(departure.entry.call, departure.entry.earliest_deadline());
            self.transmit(departure);
        }
    }

    /// How many calls that waited may be in flight.
    fn window(&self, maybe_sent: bool) -> usize {
        if self.isolating && maybe_sent { 1 } else { self.config.outbox.window.max(1) }
    }

    /// The server has ended the connection over something it got. One of the calls that will be made again may be the
    /// reason: a message that is too large for it, for one. That call must not keep the others from getting through, so
    /// they are made again one at a time, and it ends when that has happened with it alone a few times.
    pub(super) fn find_culprit(&mut self, lost: &Error) {
        match self.outbox.in_flight() {
            0 => self.isolating = false,
            1 => {
                self.isolating = true;
                if let Some(removed) = self.outbox.suspect(CULPRIT) {
                    let times = decimal(CULPRIT.into());
                    let parts = [
                        "The server ended the connection ",
                        &times,
                        " times over this call: ",
                        lost.detail(),
                    ];
                    self.end_queued(removed, Error::new(ErrorKind::OutcomeUnknown, joined(&parts)));
                }
            }
            _ => self.isolating = true,
        }
    }

    /// A connection is there: ends what its server would not recognise.
    pub(super) fn end_forgotten(&mut self) {
        for removed in self.outbox.take_forgotten(self.established.memory.as_ref(), self.now) {
            let text = "The server that may have run the call has forgotten it.";
            self.end_queued(removed, Error::new(ErrorKind::OutcomeUnknown, text));
        }
    }

    /// The header by which a server recognises a call: `CLIENT/NUMBER`.
    fn headers(&self, name: Option<CallName>) -> Headers {
        let Some(CallName { number, durable }) = name else { return Headers::new() };
        let client_id = if durable { Some(self.store_id.as_str()) } else { self.config.client_id.as_deref() };
        match client_id {
            Some(client_id) if !client_id.is_empty() => {
                vec![(ByteString::from_static(ID_HEADER), joined(&[client_id, "/", &decimal(number)]).into())]
            }
            _ => Headers::new(),
        }
    }

    fn transmit(&mut self, Departure { entry, kept, name }: Departure<P>) {
        let Entry { call, kind, target, arguments, uploads, deadline, waited: queued, .. } = entry;
        let joins = kind != CallKind::Stream && Joins::<P>::is_join(&self.config.joins, &target);
        let join = joins.then(|| Join { target: target.clone(), arguments: arguments.clone() });
        let stream_ids = self.calls.open_uploads(&uploads);
        // A completion that the server remembers would not join this connection.
        let headers = if joins { Headers::new() } else { self.headers(name) };
        let message = Call { headers, stream_ids, ..Call::new(target, arguments) };
        let is_send = kind == CallKind::Send && kept.is_none();
        let invocation_id = if is_send {
            // Nobody will say whether it succeeded.
            if let Some(join) = join {
                self.joins.record(join);
            }
            None
        } else {
            let (owner, uploads) = (Owner::Application(call), uploads.clone());
            Some(self.calls.open(Pending { owner, kind, uploads, deadline, kept, queued, join }))
        };
        self.send(match (kind, invocation_id) {
            (CallKind::Stream, Some(invocation_id)) => {
                HubMessage::StreamInvocation(StreamInvocation { invocation_id, call: message })
            }
            (_, invocation_id) => HubMessage::Invocation(Invocation { invocation_id, call: message }),
        });
        for upload in uploads {
            self.event(Event::UploadStarted(upload));
        }
        if is_send {
            self.event(Event::Completed { call, result: Ok(None) });
        } else {
            self.watch(call, deadline);
        }
    }

    /// Joins again what was joined on the connection that was lost.
    pub(super) fn rejoin(&mut self) {
        for join in self.joins.all() {
            let invocation_id = Some(self.calls.open(Pending::own(Owner::Rejoin(join.clone()))));
            let call = Call::new(join.target, join.arguments);
            self.send(HubMessage::Invocation(Invocation { invocation_id, call }));
        }
    }

    /// A call in flight has ended.
    pub(super) fn finish(&mut self, (pending, result): Finished<P>) {
        // The callee drops late items silently, so nothing has to be said about uploads that still run.
        for upload in pending.uploads {
            if self.calls.close_upload(upload).is_some() {
                self.event(Event::UploadStopped(upload));
            }
        }
        match pending.owner {
            Owner::Application(call) => {
                self.unwatch(call, pending.deadline);
                if let (Some(join), Ok(_)) = (pending.join, &result) {
                    self.joins.record(join);
                }
                // Nothing is in flight any more that was made again.
                self.isolating &= self.outbox.first().is_some_and(|first| first.maybe_sent);
                match pending.kept.and_then(|place| self.outbox.finish(place)) {
                    Some(removed) => self.end(removed, result),
                    None => self.event(Event::Completed { call, result }),
                }
            }
            Owner::Rejoin(join) => {
                if let Err(error) = result {
                    self.joins.forget(&join);
                    self.event(Event::RejoinFailed { target: join.target, error });
                }
            }
            Owner::Probe => self.probe_answered(),
            Owner::Delivery(question) => self.question_answered(question, result),
        }
    }

    pub(super) fn cancel(&mut self, call: CallId) {
        if let Some(removed) = self.outbox.cancel(call) {
            let error = Error::new(ErrorKind::Cancelled, "The call was cancelled while it was queued.");
            self.end_queued(removed, error);
        } else {
            self.take_back(call, Error::new(ErrorKind::Cancelled, "The call was cancelled."));
        }
    }

    /// Ends a call in flight, and tells the server.
    fn take_back(&mut self, call: CallId, error: Error) {
        let Some((id, pending)) = self.calls.cancel(call) else { return };
        for upload in &pending.uploads {
            // Else the server would wait for the rest of the stream.
            if let Some(upload_id) = self.calls.close_upload(*upload) {
                let outcome = Outcome::Error(UPLOAD_CANCELLED.into());
                self.send(HubMessage::Completion(Completion::new(upload_id, outcome)));
                self.event(Event::UploadStopped(*upload));
            }
        }
        self.send(HubMessage::CancelInvocation(CancelInvocation::new(id)));
        self.finish((pending, Err(error)));
    }

    /// The connection is gone. What may be made again waits for the next one, if there will be one.
    pub(super) fn lose_calls(&mut self, reason: Option<&Error>, another: bool) {
        while let Some(upload) = self.calls.take_upload() {
            self.event(Event::UploadStopped(upload));
        }
        while let Some(Pending { owner, kind, deadline, kept, .. }) = self.calls.take_pending() {
            let Owner::Application(call) = owner else { continue };
            self.unwatch(call, deadline);
            if kept.is_some() {
                continue;
            }
            let kind = match kind {
                CallKind::Send | CallKind::Invoke => ErrorKind::OutcomeUnknown,
                CallKind::Stream => ErrorKind::Network,
            };
            let error = match reason {
                Some(reason) => Error::new(kind, reason.detail().to_owned()),
                None => Error::new(kind, CONNECTION_CLOSED),
            };
            self.event(Event::Completed { call, result: Err(error) });
        }
        for (call, deadline) in self.outbox.requeue() {
            self.watch(call, deadline);
        }
        if !another {
            let error = match reason {
                Some(reason) => {
                    Error::new(reason.kind(), joined(&["The call was not sent: ", reason.detail()]))
                }
                None => Error::new(ErrorKind::Cancelled, "The call was not sent: the connection was closed."),
            };
            for removed in self.outbox.take_volatile() {
                let error = match removed.entry.maybe_sent {
                    true => Error::new(ErrorKind::OutcomeUnknown, CONNECTION_CLOSED),
                    false => error.clone(),
                };
                self.end_queued(removed, error);
            }
        }
    }

    fn watch(&mut self, call: CallId, deadline: Option<Time>) {
        if let Some(deadline) = deadline {
            self.deadlines.insert((deadline, call), ());
            self.watch_first();
        }
    }

    fn unwatch(&mut self, call: CallId, deadline: Option<Time>) {
        if let Some(deadline) = deadline {
            self.deadlines.remove((deadline, call));
            self.watch_first();
        }
    }

    fn watch_first(&mut self) {
        self.timers.set_to(Timer::Deadline, self.deadlines.first().map(|(time, _)| time));
    }

    /// Some calls are late.
    pub(super) fn expire_calls(&mut self) {
        while let Some((_, call)) = self.deadlines.first().filter(|(time, _)| *time <= self.now) {
            self.deadlines.pop_first();
            let waiting = self.outbox.waiting(call);
            let late = waiting.map(|entry| entry.deadline.is_some_and(|deadline| deadline <= self.now));
            match late {
                None => {
                    let error = Error::new(ErrorKind::Timeout, "The call was not completed in time.");
                    self.take_back(call, error);
                }
                Some(late) => {
                    let text = match late {
                        true => "The call could not be sent in time.",
                        false => "The call expired in the queue.",
                    };
                    if let Some(removed) = self.outbox.cancel(call) {
                        self.end_queued(removed, Error::new(ErrorKind::Timeout, text));
                    }
                }
            }
        }
        self.watch_first();
    }

    pub(super) fn restore(
        &mut self,
        next: Sequence,
        client_id: String,
        calls: Vec<(CallId, Sequence, StoredCall<P>)>,
    ) -> Result<(), Misuse> {
        if !self.outbox.is_untouched() || self.state() != ConnectionState::Disconnected {
            return Err(Misuse::RestoredLate);
        }
        for (call, _, stored) in &calls {
            self.watch(*call, stored.expires_at);
        }
        self.outbox.restore(next, calls);
        self.store_id = client_id;
        Ok(())
    }

    /// Gives the store what has changed, unless it is still busy with what changed before.
    pub(super) fn write_store(&mut self) {
        if !self.timers.is_set(Timer::Store)
            && let Some((batch, ops)) = self.outbox.take_batch()
        {
            self.out.push_back(Output::Store(batch, ops));
        }
    }

    pub(super) fn handle_stored(&mut self, batch: BatchId, result: Result<(), Error>) {
        let failed = result.as_ref().err().cloned();
        let report = self.outbox.stored(batch, result);
        for call in report.accepted {
            self.event(Event::Queued(call));
        }
        for (entry, error) in report.refused {
            self.unwatch(entry.call, entry.earliest_deadline());
            self.refuse(entry, error.in_context("The call could not be stored: "));
        }
        for (call, result) in report.ended {
            self.event(Event::Completed { call, result });
        }
        if let Some(error) = failed {
            self.event(Event::StoreFailed(error));
        }
        if report.try_again {
            self.set_timer(Timer::Store, STORE_AGAIN);
        }
    }
}
