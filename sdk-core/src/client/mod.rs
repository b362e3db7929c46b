//! The client as a state machine: no sockets, no clock, no threads, no randomness, no async, no callbacks.
//!
//! [`Client::handle`] is the only way in and [`Client::poll`] the only way out. A driver does this, for ever:
//!
//! 1. Wait until something happens: a command, bytes, a closed socket, or the time of the last [`Output::Wait`].
//! 2. Decode bytes into messages (the payload `P` stays as the platform keeps it), and call [`Client::handle`] with
//!    the current [`Time`] and one [`Input`].
//! 3. Call [`Client::poll`] until it returns [`Output::Wait`], doing what each output says, in order. Outputs must
//!    not be left for later: the wait is the last one, so no timer can be forgotten.
//! 4. Only then call into the application with the events collected: it may call back.
//!
//! Whatever a peer sends, the client neither panics nor grows without bound: what the peer does wrong closes the
//! connection and is reported as [`Cause::Failed`], what the caller does wrong is a [`Misuse`].
//!
//! ```
//! use hubwire::client::{Client, Command, Config, Input, Output};
//! use hubwire::Time;
//! use hubwire::protocol::Transport;
//!
//! // The payload may be anything; this client carries numbers.
//! let mut config = Config::new("http://localhost/hubs/chat");
//! config.transports = vec![Transport::WebSockets];
//! config.skip_negotiation = true;
//! let mut client = Client::<u32>::new(config);
//! client.handle(Time::ZERO, Input::Command(Command::Start))?;
//! while let output = client.poll() {
//!     match output {
//!         Output::Open(_, request) => assert_eq!(request.url, "http://localhost/hubs/chat"),
//!         Output::Wait(deadline) => {
//!             assert!(deadline.is_some());
//!             break;
//!         }
//!         _ => {}
//!     }
//! }
//! # Ok::<_, hubwire::client::Misuse>(())
//! ```

mod calls;
mod config;
mod connection;
mod io;
mod replies;
mod state;
mod stateful;
mod stored;
mod timers;
mod url;

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

pub use config::Config;
pub use io::{
    CallId, Command, Event, HttpRequest, Input, LinkId, LinkRequest, Output, Reply, ReplyId, RequestFailure,
    RequestId, UploadId,
};
pub use state::{Cause, ConnectionState};
pub use stored::{CallKind, Priority, Restored, Sequence, StoreOp, StoredCall};

use crate::protocol::{
    Call, CancelInvocation, Completion, HubMessage, Invocation, OpaquePayload, Outcome, StreamInvocation,
    StreamItem,
};
use crate::{Error, ErrorKind, Time};
use calls::Calls;
use connection::{Established, Phase, Refreshing};
use replies::Replies;
use stateful::{Stateful, Verdict};
use timers::{Timer, Timers};

/// The official clients' text.
const NOT_CONNECTED: &str = "Cannot send data if the connection is not in the 'Connected' State.";
/// How long acknowledgements are collected (stateful reconnect).
const ACKNOWLEDGE_AFTER: Duration = Duration::from_secs(1);
/// What .NET clients say when the caller of an upload goes away.
const UPLOAD_CANCELLED: &str = "Stream canceled by client.";

/// One connection to a hub. See the [module documentation](self) for how to drive it.
#[derive(Debug)]
pub struct Client<P> {
    config: Config,
    phase: Phase,
    established: Established,
    stateful: Option<Stateful<P>>,
    refreshing: Option<Refreshing>,
    /// The connection that is being made replaces one that was lost.
    reconnecting: bool,
    /// When the connection was established, and how many in a row did not last.
    connected_at: Time,
    short_lived: u8,
    timers: Timers,
    calls: Calls,
    replies: Replies,
    out: VecDeque<Output<P>>,
    now: Time,
    last_link: u64,
    last_request: u64,
}

impl<P: OpaquePayload> Client<P> {
    /// A client that is not connected.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            phase: Phase::Disconnected,
            established: Established::default(),
            stateful: None,
            refreshing: None,
            reconnecting: false,
            connected_at: Time::ZERO,
            short_lived: 0,
            timers: Timers::default(),
            calls: Calls::default(),
            replies: Replies::default(),
            out: VecDeque::new(),
            now: Time::ZERO,
            last_link: 0,
            last_request: 0,
        }
    }

    /// The state of the connection.
    pub const fn state(&self) -> ConnectionState {
        match self.phase.state() {
            ConnectionState::Connecting if self.reconnecting => ConnectionState::Reconnecting,
            state => state,
        }
    }

    /// Takes one input. `now` that lies before an earlier one counts as that one.
    ///
    /// # Errors
    /// Only for what the caller did wrong; nothing has changed then.
    pub fn handle(&mut self, now: Time, input: Input<P>) -> Result<(), Misuse> {
        self.now = self.now.max(now);
        match input {
            Input::Command(command) => return self.handle_command(command),
            Input::Token(request, token) => self.handle_token(request, token),
            Input::Refreshed(request, result) => self.handle_refreshed(request, result),
            Input::Negotiated(request, response) => self.handle_negotiated(request, response),
            Input::Opened(link) => self.handle_opened(link),
            Input::Handshake(link, response) => self.handle_handshake(link, response),
            Input::Message(link, message) if self.phase.connected() == Some(link) => {
                self.heard();
                self.handle_counted(message);
            }
            Input::Message(..) => {}
            Input::Malformed(link, error) => self.handle_malformed(link, error),
            Input::Closed(link, result) => self.handle_closed(link, result),
            Input::Paused => self.timers.stop(Timer::ServerTimeout),
            Input::Resumed => {
                if self.phase.connected().is_some() {
                    self.heard();
                }
            }
            Input::Tick => {}
        }
        while let Some(timer) = self.timers.take_due(self.now) {
            self.handle_timer(timer);
        }
        Ok(())
    }

    /// The next thing to do; [`Output::Wait`] when there is nothing left.
    pub fn poll(&mut self) -> Output<P> {
        self.out.pop_front().unwrap_or_else(|| Output::Wait(self.timers.next()))
    }

    fn handle_command(&mut self, command: Command<P>) -> Result<(), Misuse> {
        match command {
            Command::Start => self.start()?,
            Command::Stop => self.stop(),
            Command::Send { call, target, arguments, uploads } => {
                self.check_ids(call, &uploads)?;
                match self.check_call() {
                    Ok(()) => {
                        let call_message = self.call_message(target, arguments, &uploads);
                        let message = Invocation { invocation_id: None, call: call_message };
                        self.send(HubMessage::Invocation(message));
                        self.event(Event::Completed { call, result: Ok(None) });
                    }
                    Err(error) => self.refuse(call, uploads, error),
                }
            }
            Command::Invoke { call, target, arguments, uploads } => {
                self.check_ids(call, &uploads)?;
                match self.check_call() {
                    Ok(()) => {
                        let call_message = self.call_message(target, arguments, &uploads);
                        let invocation_id = Some(self.calls.open(call, CallKind::Invoke, uploads));
                        let message = Invocation { invocation_id, call: call_message };
                        self.send(HubMessage::Invocation(message));
                    }
                    Err(error) => self.refuse(call, uploads, error),
                }
            }
            Command::Stream { call, target, arguments, uploads } => {
                self.check_ids(call, &uploads)?;
                match self.check_call() {
                    Ok(()) => {
                        let call_message = self.call_message(target, arguments, &uploads);
                        let invocation_id = self.calls.open(call, CallKind::Stream, uploads);
                        let message = StreamInvocation { invocation_id, call: call_message };
                        self.send(HubMessage::StreamInvocation(message));
                    }
                    Err(error) => self.refuse(call, uploads, error),
                }
            }
            Command::Item { upload, item } => {
                if let Some(invocation_id) = self.calls.upload(upload) {
                    let item = StreamItem { headers: Vec::new(), invocation_id, item };
                    self.send(HubMessage::StreamItem(item));
                }
            }
            Command::EndUpload { upload, error } => {
                if let Some(id) = self.calls.close_upload(upload) {
                    let outcome = match error {
                        None => Outcome::Void,
                        Some(text) if text.is_empty() => Outcome::Error("The upload failed.".into()),
                        Some(text) => Outcome::Error(text.into()),
                    };
                    self.send(HubMessage::Completion(Completion::new(id, outcome)));
                }
            }
            Command::Cancel(call) => self.cancel(call),
            Command::Reply(reply, answer) => {
                if let Some(completion) = self.replies.answer(reply, answer) {
                    self.send(HubMessage::Completion(completion));
                }
            }
        }
        Ok(())
    }

    fn check_ids(&self, call: CallId, uploads: &[UploadId]) -> Result<(), Misuse> {
        if self.calls.contains(call) {
            return Err(Misuse::CallInUse(call));
        }
        for (index, upload) in uploads.iter().enumerate() {
            if self.calls.contains_upload(*upload) || uploads[..index].contains(upload) {
                return Err(Misuse::UploadInUse(*upload));
            }
        }
        Ok(())
    }

    /// Whether new calls should be made now. While it says no, the server has fallen behind with acknowledging what it
    /// got (stateful reconnect), and callers should wait.
    pub fn wants_calls(&self) -> bool {
        !self.stateful.as_ref().is_some_and(Stateful::is_full)
    }

    fn check_call(&self) -> Result<(), Error> {
        if self.state() != ConnectionState::Connected {
            return Err(Error::new(ErrorKind::Misuse, NOT_CONNECTED));
        }
        let limit = self.config.max_pending_calls;
        if self.calls.len() >= limit {
            return Err(Error::new(ErrorKind::Overflow, format!("{limit} calls are waiting already")));
        }
        Ok(())
    }

    fn refuse(&mut self, call: CallId, uploads: Vec<UploadId>, error: Error) {
        for upload in uploads {
            self.event(Event::UploadStopped(upload));
        }
        self.event(Event::Completed { call, result: Err(error) });
    }

    fn call_message(
        &mut self,
        target: bytestring::ByteString,
        arguments: P,
        uploads: &[UploadId],
    ) -> Call<P> {
        Call { stream_ids: self.calls.open_uploads(uploads), ..Call::new(target, arguments) }
    }

    fn cancel(&mut self, call: CallId) {
        let Some((id, uploads)) = self.calls.cancel(call) else { return };
        for (upload, upload_id) in uploads {
            // Else the server would wait for the rest of the stream.
            let outcome = Outcome::Error(UPLOAD_CANCELLED.into());
            self.send(HubMessage::Completion(Completion::new(upload_id, outcome)));
            self.event(Event::UploadStopped(upload));
        }
        self.send(HubMessage::CancelInvocation(CancelInvocation::new(id)));
        let error = Error::new(ErrorKind::Cancelled, "The call was cancelled.");
        self.event(Event::Completed { call, result: Err(error) });
    }

    /// With stateful reconnect every message is counted before it is handled.
    fn handle_counted(&mut self, message: HubMessage<P>) {
        let verdict = match &mut self.stateful {
            None => Verdict::Handle,
            Some(stateful) => match stateful.receive(&message) {
                Ok(verdict) => verdict,
                Err(error) => return self.fail(error.into()),
            },
        };
        if matches!(verdict, Verdict::HandleAndAcknowledge | Verdict::DropAndAcknowledge)
            && !self.timers.is_set(Timer::Acknowledge)
        {
            self.timers.set(Timer::Acknowledge, self.now + ACKNOWLEDGE_AFTER);
        }
        if matches!(verdict, Verdict::Handle | Verdict::HandleAndAcknowledge) {
            self.handle_message(message);
        }
    }

    fn handle_message(&mut self, message: HubMessage<P>) {
        let mut events = Vec::new();
        match message {
            HubMessage::Invocation(Invocation { invocation_id: None, call }) => {
                events.push(Event::Invocation {
                    target: call.target,
                    arguments: call.arguments,
                    reply: None,
                });
            }
            HubMessage::Invocation(Invocation { invocation_id: Some(id), call }) => {
                if self.replies.len() >= self.config.max_pending_replies {
                    let outcome = Outcome::Error("The client has too many calls to answer.".into());
                    self.send(HubMessage::Completion(Completion::new(id, outcome)));
                } else {
                    let reply = Some(self.replies.open(id));
                    events.push(Event::Invocation { target: call.target, arguments: call.arguments, reply });
                }
            }
            // Clients have no streaming methods, but the caller must not wait for ever.
            HubMessage::StreamInvocation(StreamInvocation { invocation_id, .. }) => {
                let outcome = Outcome::Error("Clients do not stream results.".into());
                self.send(HubMessage::Completion(Completion::new(invocation_id, outcome)));
            }
            HubMessage::StreamItem(item) => self.calls.item(&item.invocation_id, item.item, &mut events),
            HubMessage::Completion(completion) => self.calls.complete(completion, &mut events),
            HubMessage::CancelInvocation(cancel) => {
                events.extend(self.replies.cancel(&cancel.invocation_id).map(Event::InvocationCancelled));
            }
            HubMessage::Close(close) => self.server_closed(close),
            // Receiving anything has reset the timeout; the other two belong to stateful reconnect.
            HubMessage::Ping | HubMessage::Ack { .. } | HubMessage::Sequence { .. } => {}
        }
        self.out.extend(events.into_iter().map(Output::Event));
    }

    /// Sends a message on the link, and keeps it if it may have to be sent again. Does nothing without a connection.
    fn send(&mut self, message: HubMessage<P>) {
        if self.state() != ConnectionState::Connected {
            return;
        }
        if let Some(stateful) = &mut self.stateful {
            stateful.keep(&message);
        }
        // While a lost link is being replaced what counts waits in the buffer, and the rest is not worth sending later.
        if let Some(link) = self.phase.connected() {
            if !self.established.inherent_keep_alive {
                self.timers.set(Timer::KeepAlive, self.now + self.config.keep_alive_interval);
            }
            self.out.push_back(Output::Transmit(link, message));
        }
    }

    /// Something came from the server.
    fn heard(&mut self) {
        if !self.established.inherent_keep_alive {
            self.timers.set(Timer::ServerTimeout, self.now + self.config.server_timeout);
        }
    }

    fn event(&mut self, event: Event<P>) {
        self.out.push_back(Output::Event(event));
    }
}

/// What a caller did wrong. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misuse {
    /// Started while not disconnected.
    NotDisconnected(ConnectionState),
    /// The id of a new call belongs to a call that has not ended.
    CallInUse(CallId),
    /// The id of a new upload belongs to an upload that has not ended.
    UploadInUse(UploadId),
    /// Negotiation can be skipped only with WebSockets as the one transport.
    SkipNegotiation,
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotDisconnected(state) => write!(
                f,
                "Cannot start a HubConnection that is not in the 'Disconnected' state; it is in '{state}'."
            ),
            Self::CallInUse(call) => write!(f, "The call id {} is in use.", call.0),
            Self::UploadInUse(upload) => write!(f, "The upload id {} is in use.", upload.0),
            Self::SkipNegotiation => {
                f.write_str("Negotiation can only be skipped when using the WebSocket transport directly.")
            }
        }
    }
}

impl std::error::Error for Misuse {}

impl From<Misuse> for Error {
    fn from(misuse: Misuse) -> Self {
        Self::new(ErrorKind::Misuse, misuse.to_string())
    }
}
