//! The server side of one connection as a state machine: no I/O, no clock, no task.
//!
//! [`Session::handle`] is the only way in, [`Session::poll`] the only way out. After every `handle` the driver
//! drains `poll` until it returns [`Output::Wait`], and calls `handle` with [`Input::Tick`] at that time:
//!
//! ```
//! use std::sync::Arc;
//!
//! use hubwire::Time;
//! use hubwire::protocol::{Encoding, HandshakeRequest};
//! use hubwire_server::session::{Input, Output, Session, SessionConfig};
//!
//! // Payloads are opaque to the session; here they are numbers.
//! let mut session = Session::<u32>::new(Time::ZERO, Arc::new(SessionConfig::default()));
//! session.handle(
//!     Time::from_millis(5),
//!     Input::Handshake(Ok(HandshakeRequest { encoding: Encoding::Json, version: 1 })),
//! );
//! loop {
//!     match session.poll() {
//!         Output::Handshake(response) => assert_eq!(response.error, None),
//!         Output::Connect => { /* run the connect hook, then `Input::Connected` */ }
//!         Output::Wait(deadline) => {
//!             assert_eq!(deadline, Some(Time::from_millis(15_005)), "the next ping");
//!             break;
//!         }
//!         other => panic!("{other:?}"),
//!     }
//! }
//! ```
//!
//! The session decides what a message means for the connection: when methods start and in which order, what is
//! answered, when the client counts as gone. It knows nothing of methods, users and groups. Broadcasts are encoded once
//! for many connections and therefore pass it by; the driver reports them with [`Input::Sent`].

mod calls;
mod config;
mod end;
mod io;
mod reliable;
mod timers;
mod uploads;

#[cfg(test)]
mod tests;

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::sync::Arc;

use bytestring::ByteString;
use hubwire::Time;
use hubwire::protocol::{
    Call, Close, Completion, HandshakeRequest, HandshakeRequestError, HandshakeResponse, Headers, HubMessage,
    Invocation, Outcome, ProtocolError, StreamItem, VERSION_STATEFUL,
};

use calls::{Calls, Refusal};
pub use config::SessionConfig;
pub(crate) use end::CONNECTION_ERROR;
pub use end::End;
pub use io::{CallKey, Input, MethodCall, Output, UploadEvent, UploadKey};
use reliable::{Reliable, Verdict};
use uploads::Uploads;

/// The error of a call that its caller took back before its turn.
pub(crate) const CANCELED: &str = "The invocation was canceled by the client.";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Handshaking,
    /// The connect hook runs. Messages are read, methods wait.
    Connecting,
    Connected,
    Ended,
}

/// The server side of one connection. See the [module documentation](self).
pub struct Session<P> {
    config: Arc<SessionConfig>,
    phase: Phase,
    outputs: VecDeque<Output<P>>,
    calls: Calls<P>,
    uploads: Uploads<P>,
    /// The ids of the calls that the client has to answer.
    client_calls: HashSet<ByteString>,
    last_received: Time,
    last_sent: Time,
    stalled_since: Option<Time>,
    detached_since: Option<Time>,
    expires: Option<Time>,
    /// With stateful reconnect, from the handshake on.
    reliable: Option<Box<Reliable>>,
    /// Whether the client timeout was suspended after the last input.
    suspended: bool,
}

impl<P> Session<P> {
    /// A transport was opened.
    pub fn new(now: Time, config: Arc<SessionConfig>) -> Self {
        Self {
            config,
            phase: Phase::Handshaking,
            outputs: VecDeque::new(),
            calls: Calls::default(),
            uploads: Uploads::default(),
            client_calls: HashSet::new(),
            last_received: now,
            last_sent: now,
            stalled_since: None,
            detached_since: None,
            expires: None,
            reliable: None,
            suspended: false,
        }
    }

    /// Whether to read on. While this is false the client waits: its calls or its stream are ahead of the methods.
    pub fn wants_input(&self) -> bool {
        self.phase != Phase::Ended
            && self.calls.queued() < self.config.invocation_queue
            && !self.uploads.is_blocked()
    }

    /// Whether the handshake still has to come.
    pub fn is_handshaking(&self) -> bool {
        self.phase == Phase::Handshaking
    }

    /// Whether [`Output::End`] was, or is about to be, handed out.
    pub fn is_ended(&self) -> bool {
        self.phase == Phase::Ended
    }

    /// Whether counted messages may leave now. Without stateful reconnect, and at the end, always.
    pub fn may_transmit(&self) -> bool {
        match &self.reliable {
            Some(reliable) if self.phase != Phase::Ended => {
                self.detached_since.is_none() && reliable.may_transmit()
            }
            _ => true,
        }
    }

    /// Whether the client can come back with another transport.
    pub fn is_resumable(&self) -> bool {
        self.phase != Phase::Ended && self.reliable.as_ref().is_some_and(|reliable| reliable.was_answered())
    }

    /// Whether messages are counted, so that the driver reports them with [`Input::Left`].
    pub const fn is_counting(&self) -> bool {
        self.reliable.is_some()
    }

    /// Takes what happened. `now` never goes back; if it does, no timer fires.
    pub fn handle(&mut self, now: Time, input: Input<P>) {
        if self.phase == Phase::Ended {
            return;
        }
        match input {
            Input::Handshake(request) => self.handle_handshake(now, request),
            Input::Connected(result) => self.handle_connected(now, result),
            Input::Message(message) => {
                let verdict = match &mut self.reliable {
                    Some(reliable) => reliable.receive(now, &message),
                    None => Verdict::Pass,
                };
                self.last_received = now;
                match verdict {
                    Verdict::Pass => self.handle_message(now, message),
                    Verdict::Ignore => {}
                    Verdict::Violation(error) => self.close_with(End::Violation(error), true),
                }
            }
            Input::Unknown => self.last_received = now,
            Input::Violation(error) if self.phase == Phase::Handshaking => {
                let error = match error {
                    ProtocolError::TooLarge { .. } => HandshakeRequestError::Canceled,
                    error => HandshakeRequestError::Malformed(error.to_string()),
                };
                self.refuse_handshake(error.to_string(), &error);
            }
            Input::Violation(error) => self.close_with(End::Violation(error), true),
            Input::Finished { call, outcome } => self.handle_finished(now, call, outcome),
            Input::Item { call, item } => {
                if let Some(id) = self.calls.id_for_item(call) {
                    let headers = Headers::new();
                    self.transmit(
                        now,
                        HubMessage::StreamItem(StreamItem { headers, invocation_id: id, item }),
                    );
                }
            }
            Input::Release(call) => self.calls.release(call),
            Input::Consumed(upload) => self.uploads.consumed(upload, &mut self.outputs),
            Input::Discard(upload) => self.uploads.discard(upload),
            Input::InvokeClient { id, call } => self.invoke_client(now, id, call),
            Input::ForgetClientCall(id) => {
                self.client_calls.remove(&id);
            }
            Input::Sent => self.last_sent = now,
            Input::Stalled => {
                self.stalled_since.get_or_insert(now);
            }
            Input::Flowing => self.stalled_since = None,
            Input::Overflow => self.end(End::SlowConsumer),
            Input::Abort => self.close_with(End::Aborted, false),
            Input::Close { error, allow_reconnect } => {
                if self.phase != Phase::Handshaking {
                    self.transmit(now, close(error.as_deref(), allow_reconnect));
                }
                self.end(End::Aborted);
            }
            Input::Shutdown { retry_after } => {
                if self.phase != Phase::Handshaking {
                    let close = Close { error: None, allow_reconnect: true, retry_after };
                    self.outputs.push_back(Output::Transmit(HubMessage::Close(close)));
                }
                self.end(End::Shutdown);
            }
            Input::Detached => {
                self.detached_since.get_or_insert(now);
            }
            Input::Attached => self.detached_since = None,
            Input::Expires(at) => self.expires = at,
            Input::HandshakeSent => {
                if let Some(reliable) = &mut self.reliable {
                    reliable.answered(now);
                }
            }
            Input::Left(frame) => {
                self.last_sent = now;
                if let Some(reliable) = &mut self.reliable {
                    reliable.left(frame);
                }
            }
            Input::LinkReplaced => self.replace_link(now),
            // A proper close is final.
            Input::LinkLost(error) => {
                if error.is_none() || !self.lose_link(now) {
                    self.end(End::LinkLost(error));
                }
            }
            Input::Tick => self.handle_tick(now),
        }
        self.start_calls();
        let suspended = self.is_timeout_suspended();
        if self.suspended && !suspended {
            // The client could not be heard meanwhile, so it gets the full time again.
            self.last_received = now;
        }
        self.suspended = suspended;
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Output<P> {
        match self.outputs.pop_front() {
            Some(output) => output,
            None => Output::Wait(self.deadline()),
        }
    }

    fn handle_handshake(&mut self, now: Time, request: Result<HandshakeRequest, HandshakeRequestError>) {
        if self.phase != Phase::Handshaking {
            return;
        }
        let request = match request {
            Ok(request) => request,
            Err(error) => {
                let mut text = error.to_string();
                if let (HandshakeRequestError::Malformed(detail), true) =
                    (&error, self.config.detailed_errors)
                {
                    text.push_str(" InvalidDataException: ");
                    text.push_str(detail);
                }
                return self.refuse_handshake(text, &error);
            }
        };
        let protocol = request.encoding.name();
        if request.version > self.config.max_version {
            let error = HandshakeRequestError::UnsupportedVersion {
                protocol: protocol.into(),
                version: request.version.into(),
            };
            return self.refuse_handshake(error.to_string(), &error);
        }
        if !self.config.formats.contains(request.encoding.transfer_format()) {
            let text = format!(
                "Cannot use the '{protocol}' protocol on the current transport. The transport does not support \
                 'Binary' transfer format."
            );
            return self.refuse_handshake(text.clone(), &text);
        }
        self.phase = Phase::Connecting;
        if request.version >= VERSION_STATEFUL {
            self.reliable = Some(Reliable::new(self.config.replay_bytes));
        }
        self.last_received = now;
        self.last_sent = now;
        self.outputs.push_back(Output::Handshake(HandshakeResponse::default()));
        self.outputs.push_back(Output::Connect);
    }

    fn refuse_handshake(&mut self, text: String, reason: &dyn fmt::Display) {
        let reason = reason.to_string();
        self.outputs.push_back(Output::Handshake(HandshakeResponse { error: Some(text) }));
        self.end(End::HandshakeRefused(reason));
    }

    fn handle_connected(&mut self, now: Time, result: Result<(), String>) {
        if self.phase != Phase::Connecting {
            return;
        }
        match result {
            Ok(()) => {
                self.phase = Phase::Connected;
                self.last_received = now;
            }
            Err(text) => {
                self.transmit(now, close(Some(&text), false));
                self.end(End::ConnectFailed(text));
            }
        }
    }

    fn handle_message(&mut self, now: Time, message: HubMessage<P>) {
        if self.phase == Phase::Handshaking {
            return;
        }
        match message {
            HubMessage::Invocation(invocation) => {
                self.accept_call(now, invocation.invocation_id, invocation.call, false);
            }
            HubMessage::StreamInvocation(invocation) => {
                self.accept_call(now, Some(invocation.invocation_id), invocation.call, true);
            }
            HubMessage::StreamItem(item) => {
                self.uploads.item(&item.invocation_id, item.item, &self.config, &mut self.outputs);
            }
            HubMessage::Completion(completion) => {
                let Completion { invocation_id, outcome, .. } = completion;
                if self.client_calls.remove(&invocation_id) {
                    self.outputs.push_back(Output::ClientResult { id: invocation_id, outcome });
                } else {
                    let error = match outcome {
                        Outcome::Error(error) => Some(error),
                        Outcome::Void | Outcome::Value(_) => None,
                    };
                    // Of neither kind: too late, or made up. Ignored like the official server does.
                    self.uploads.end(&invocation_id, error, &mut self.outputs);
                }
            }
            HubMessage::CancelInvocation(cancel) => {
                let canceled = self.calls.cancel(&cancel.invocation_id, &mut self.outputs);
                if let Some((call, streaming)) = canceled {
                    let outcome = match streaming {
                        true => Outcome::Void,
                        false => Outcome::Error(CANCELED.into()),
                    };
                    self.handle_finished(now, call, outcome);
                }
            }
            HubMessage::Ping => {}
            HubMessage::Close(message) => {
                self.transmit(now, close(None, true));
                self.end(End::ClientClosed(message.error));
            }
            // They belong to stateful reconnect, where they do not come so far.
            HubMessage::Ack { .. } | HubMessage::Sequence { .. } => {}
        }
    }

    fn accept_call(&mut self, now: Time, id: Option<ByteString>, call: Call<P>, streaming: bool) {
        let refusal = match self.calls.admit(id.as_ref(), &call, streaming, &self.config) {
            Ok(()) => self.uploads.admit(&call.stream_ids, &self.config),
            refusal => refusal,
        };
        match refusal {
            Ok(()) => {
                let uploads = self.uploads.open(call.stream_ids, &mut self.outputs);
                self.calls.enqueue(id, call.target, call.arguments, call.headers, uploads, streaming);
            }
            Err(refusal) => {
                if let Some(id) = id {
                    let text = match refusal {
                        Refusal::IdInUse => format!("Invocation ID '{id}' is already in use."),
                        Refusal::StreamIdInUse(stream) => format!("Stream ID '{stream}' is already in use."),
                        Refusal::TooManyStreams(limit) => format!(
                            "Failed to invoke '{}' due to an error on the server. HubException: More than {limit} \
                             streams at once.",
                            call.target
                        ),
                    };
                    let outcome = Outcome::Error(text.into());
                    self.transmit(now, HubMessage::Completion(Completion::new(id, outcome)));
                }
            }
        }
    }

    fn start_calls(&mut self) {
        while self.phase == Phase::Connected
            && let Some(call) = self.calls.start_next(&self.config)
        {
            self.outputs.push_back(Output::Run(call));
        }
    }

    fn handle_finished(&mut self, now: Time, call: CallKey, outcome: Outcome<P>) {
        let Some(finished) = self.calls.finish(call) else { return };
        self.uploads.close(&finished.uploads, &mut self.outputs);
        if let Some(id) = finished.id {
            let outcome = match finished.stream_canceled {
                true => Outcome::Void,
                false => outcome,
            };
            self.transmit(now, HubMessage::Completion(Completion::new(id, outcome)));
        }
    }

    fn invoke_client(&mut self, now: Time, id: ByteString, call: Call<P>) {
        if self.phase == Phase::Handshaking || self.client_calls.len() >= self.config.client_calls {
            let limit = self.config.client_calls;
            let text = format!("More than {limit} calls wait for an answer of this client.");
            self.outputs.push_back(Output::ClientResult { id, outcome: Outcome::Error(text.into()) });
            return;
        }
        self.client_calls.insert(id.clone());
        self.transmit(now, HubMessage::Invocation(Invocation { invocation_id: Some(id), call }));
    }

    fn transmit(&mut self, now: Time, message: HubMessage<P>) {
        // What is counted may have to wait; the driver tells when it leaves.
        if !(self.is_counting() && message.is_sequenced()) {
            self.last_sent = now;
        }
        self.outputs.push_back(Output::Transmit(message));
    }

    /// Ends the connection with a Close message.
    fn close_with(&mut self, end: End, allow_reconnect: bool) {
        if self.phase != Phase::Handshaking {
            let text = end.close_text(self.config.detailed_errors);
            self.outputs.push_back(Output::Transmit(close(text.as_deref(), allow_reconnect)));
        }
        self.end(end);
    }

    fn end(&mut self, end: End) {
        self.phase = Phase::Ended;
        self.calls.clear();
        self.uploads = Uploads::default();
        self.client_calls = HashSet::new();
        self.outputs.push_back(Output::End(end));
    }
}

impl<P> fmt::Debug for Session<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("phase", &self.phase).finish_non_exhaustive()
    }
}

fn close<P>(error: Option<&str>, allow_reconnect: bool) -> HubMessage<P> {
    HubMessage::Close(Close { error: error.map(Into::into), allow_reconnect, retry_after: None })
}
