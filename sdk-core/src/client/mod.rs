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
//! # Calls and lost connections
//!
//! A call that was never sent is always sent later: without a connection it waits in the outbox, until its deadline,
//! its expiry, or its cancellation. What becomes of a call in flight when the connection is lost depends on the server
//! and on what the caller said of the call:
//!
//! | call | plain server | Hubwire server with `dedupe` | stateful reconnect, resumed |
//! |---|---|---|---|
//! | queued | stays queued | stays queued | stays queued |
//! | send | was over when it was handed to the transport; may be lost | likewise | arrives once |
//! | invoke | `OutcomeUnknown` | made again under its name, runs once | goes on |
//! | invoke with an upload | `OutcomeUnknown` | `OutcomeUnknown` | goes on |
//! | idempotent or durable call, call that joins | made again, before what came later | made again under its name, runs once | goes on |
//! | streaming call | `Network`; what came before was delivered | likewise | goes on |
//! | upload | stopped, with its call | stopped, with its call | goes on |
//! | answer to a call of the server | dropped: nobody waits for it | dropped | arrives once |
//! | join that succeeded | made again, before everything that was queued | likewise | still joined |
//!
//! Stateful reconnect that could not be resumed is as without. Whether a server is a Hubwire server, and what it can, is
//! in its negotiate response; with [`Config::skip_negotiation`] every server is a plain one. A call that was named to a
//! server that remembers nothing any more, since it was restarted, ends with `OutcomeUnknown` unless it is idempotent
//! or durable.
//!
//! A call that would be made again and makes the server end the connection each time (it is too large for it, say) does
//! not keep the others from getting through: calls are made again one at a time then, and one over which the server has
//! ended the connection three times ends with `OutcomeUnknown`.
//!
//! A Hubwire server that goes down says when each client is to come back.
//!
//! Where no further connection is made (on [`Command::Stop`], when the policy gives up, when the server says that the
//! client must not come back) queued calls end too: with [`Cancelled`](ErrorKind::Cancelled) or with the reason. Only
//! durable ones stay, for the next start or the next process.
//!
//! | option | a call that waits | a call in flight |
//! |---|---|---|
//! | [`timeout`](CallOptions::timeout) | ends with `Timeout` | ends with `Timeout`, is taken back on the server |
//! | [`expires_after`](CallOptions::expires_after) | ends with `Timeout` | – |
//! | [`Command::Cancel`] | ends with `Cancelled`, is never sent | ends with `Cancelled`, is taken back on the server |
//! | [`supersede_key`](CallOptions::supersede_key) of a newer one | ends with `Cancelled` | – |
//! | [`FullPolicy`] | may end with `Overflow` | – |
//!
//! A call that was in flight on a lost connection and waits again ends with `OutcomeUnknown` instead of `Timeout` and
//! `Overflow`. Every call ends exactly once.
//!
//! # Example
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
//! let mut client = Client::<u32>::new(config, 42);
//! client.handle(Time::ZERO, Input::Command(Command::Start))?;
//! while let output = client.poll() {
//!     match output {
//!         Output::Open(_, request) => assert_eq!(request.url, "http://localhost/hubs/chat?hubwire=1"),
//!         Output::Wait(deadline) => {
//!             assert!(deadline.is_some());
//!             break;
//!         }
//!         _ => {}
//!     }
//! }
//! # Ok::<_, hubwire::client::Misuse>(())
//! ```

mod call;
mod calling;
mod calls;
mod config;
mod connection;
mod delivery;
mod io;
mod joins;
mod liveness;
mod metrics;
mod outbox;
mod pool;
mod quality;
mod random;
mod recent;
mod refresh;
mod replies;
mod retry;
mod state;
mod stateful;
mod stored;
mod table;
mod timers;
mod url;

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

pub use call::{CallOptions, CallRequest};
pub use config::Config;
pub use delivery::{AckMode, DeliveryConfig, GapSource};
pub use io::{
    BatchId, CallId, Command, DeliveryId, Event, Hint, HttpRequest, Input, LinkId, LinkRequest, Output,
    Reply, ReplyId, RequestFailure, RequestId, UploadId,
};
pub use joins::JoinRule;
pub use metrics::Metrics;
pub use outbox::{FullPolicy, OutboxConfig, OutboxProgress};
pub use pool::{CloseReason, HubId, Pool, PoolConfig, PoolEvent, PoolInput, PoolOutput};
pub use quality::{Grade, Quality};
pub use retry::{RetryContext, RetryPolicy};
pub use state::{Cause, ConnectionState};
pub use stored::{CallKind, Priority, Restored, Sequence, StoreOp, StoredCall};

use crate::protocol::{
    Completion, HubMessage, Invocation, OpaquePayload, Outcome, StreamInvocation, StreamItem,
};
use crate::text::numbered;
use crate::{Error, ErrorKind, Time};
use calling::Deadlines;
use calls::Calls;
use connection::{Established, Fault, Phase, Retrying};
use delivery::Inbox;
use joins::Joins;
use liveness::Hints;
use outbox::Outbox;
use quality::Monitor;
use random::Random;
use refresh::Refreshing;
use replies::Replies;
use stateful::{Stateful, Verdict};
use timers::{Timer, Timers};

/// How long acknowledgements are collected (stateful reconnect).
const ACKNOWLEDGE_AFTER: Duration = Duration::from_secs(1);

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
    /// Attempts that failed since then, or since the start.
    retrying: Option<Retrying>,
    /// When the last attempt began, and when the connection was established.
    attempted_at: Time,
    connected_at: Time,
    /// How many connections in a row did not last.
    short_lived: u8,
    timers: Timers,
    calls: Calls<P>,
    deadlines: Deadlines,
    outbox: Outbox<P>,
    joins: Joins<P>,
    inbox: Inbox<P>,
    /// What may have made the server end the connection is made again one at a time.
    isolating: bool,
    /// The name of the store.
    store_id: String,
    replies: Replies,
    random: Random,
    hints: Hints,
    /// The driver does not read.
    paused: bool,
    monitor: Monitor,
    metrics: Metrics,
    /// What the application was told last.
    reported_outbox: (usize, usize),
    reported_grade: Grade,
    out: VecDeque<Output<P>>,
    now: Time,
    last_link: u64,
    last_request: u64,
    last_probe: u64,
}

impl<P: OpaquePayload> Client<P> {
    /// A client that is not connected. The seed must be another one for every client, or they will reconnect at the
    /// same moments.
    pub fn new(config: Config, seed: u64) -> Self {
        Self {
            inbox: Inbox::new(&config.delivery, &config.positions),
            config,
            phase: Phase::Disconnected,
            established: Established::default(),
            stateful: None,
            refreshing: None,
            reconnecting: false,
            retrying: None,
            attempted_at: Time::ZERO,
            connected_at: Time::ZERO,
            short_lived: 0,
            timers: Timers::default(),
            calls: Calls::default(),
            deadlines: Deadlines::default(),
            outbox: Outbox::default(),
            joins: Joins::default(),
            isolating: false,
            store_id: String::new(),
            random: Random::new(seed),
            hints: Hints::default(),
            paused: false,
            monitor: Monitor::default(),
            metrics: Metrics::default(),
            reported_outbox: (0, 0),
            reported_grade: Grade::default(),
            replies: Replies::default(),
            out: VecDeque::new(),
            now: Time::ZERO,
            last_link: 0,
            last_request: 0,
            last_probe: 0,
        }
    }

    /// The state of the connection.
    pub const fn state(&self) -> ConnectionState {
        match self.phase.state() {
            ConnectionState::Connecting if self.reconnecting => ConnectionState::Reconnecting,
            state => state,
        }
    }

    /// Changes the address of later connections.
    pub fn set_url(&mut self, url: impl Into<String>) {
        self.config.url = url.into();
    }

    /// Changes how long the client is silent at most, from its next message on.
    pub const fn set_keep_alive_interval(&mut self, interval: Duration) {
        self.config.keep_alive_interval = interval;
    }

    /// Changes how long the server may be silent, from its next message on.
    pub const fn set_server_timeout(&mut self, timeout: Duration) {
        self.config.server_timeout = timeout;
    }

    /// Takes one input. `now` that lies before an earlier one counts as that one.
    ///
    /// # Errors
    /// Only for what the caller did wrong; nothing has changed then.
    pub fn handle(&mut self, now: Time, input: Input<P>) -> Result<(), Misuse> {
        self.now = self.now.max(now);
        // What comes after too long a silence was sent before it: after a sleep the buffers are full of the past.
        let is_from_peer = matches!(input, Input::Message(..) | Input::Pong(..));
        if is_from_peer && self.timers.take_if_due(Timer::ServerTimeout, self.now) {
            self.handle_timer(Timer::ServerTimeout);
        }
        match input {
            Input::Command(command) => self.handle_command(command)?,
            Input::Token(request, token) => self.handle_token(request, token),
            Input::Refreshed(request, result) => self.handle_refreshed(request, result),
            Input::Negotiated(request, response) => self.handle_negotiated(request, response),
            Input::RetryAfter(request, delay) => self.handle_retry_after(request, delay),
            Input::Opened(link) => self.handle_opened(link),
            Input::Handshake(link, response) => self.handle_handshake(link, response),
            Input::Message(link, message) if self.phase.connected() == Some(link) => {
                self.heard();
                self.handle_counted(message);
            }
            Input::Message(..) => {}
            Input::Pong(link, number) => self.handle_pong(link, number),
            Input::Malformed(link, error) => self.handle_malformed(link, error),
            Input::Closed(link, result) => self.handle_closed(link, result),
            Input::Hint(hint) => self.handle_hint(hint),
            Input::Restored { next, client_id, calls } => self.restore(next, client_id, calls)?,
            Input::Stored(batch, result) => self.handle_stored(batch, result),
            Input::Paused => {
                self.paused = true;
                self.timers.stop(Timer::ServerTimeout);
                self.timers.stop(Timer::Liveness);
            }
            Input::Resumed => {
                self.paused = false;
                if self.phase.connected().is_some() {
                    self.heard();
                }
            }
            Input::Tick => {}
        }
        while let Some(timer) = self.timers.take_due(self.now) {
            self.handle_timer(timer);
        }
        self.flush();
        self.write_store();
        self.report();
        Ok(())
    }

    /// A call of the server without id, headers and streams has come on that link, of a method that
    /// [is plain](Self::is_plain). True if it is for the application as it is, and that was all there was to do; else
    /// nothing was done, and it has to be given to [`handle`](Self::handle). For drivers for which building a message
    /// costs more than this.
    pub fn pass(&mut self, now: Time, link: LinkId) -> bool {
        let is_idle = self.out.is_empty() && self.timers.are_idle(now.max(self.now));
        if !is_idle || self.phase.connected() != Some(link) || self.stateful.is_some() {
            return false;
        }
        self.now = self.now.max(now);
        self.heard();
        self.metrics.messages_received += 1;
        true
    }

    /// Tells what has changed since the last time.
    fn report(&mut self) {
        let progress = self.outbox.progress(self.now);
        if (progress.depth, progress.bytes) != self.reported_outbox {
            self.reported_outbox = (progress.depth, progress.bytes);
            self.event(Event::OutboxChanged(progress));
        }
        let quality = self.monitor.quality();
        if quality.grade != self.reported_grade {
            self.reported_grade = quality.grade;
            self.event(Event::QualityChanged(quality));
        }
    }

    /// What happened, and how it stands.
    pub fn metrics(&self) -> Metrics {
        Metrics { outbox: self.outbox.progress(self.now), quality: self.monitor.quality(), ..self.metrics }
    }

    /// The next thing to do; [`Output::Wait`] when there is nothing left.
    pub fn poll(&mut self) -> Output<P> {
        self.out.pop_front().unwrap_or_else(|| Output::Wait(self.timers.next()))
    }

    fn handle_command(&mut self, command: Command<P>) -> Result<(), Misuse> {
        match command {
            Command::Start => self.start()?,
            Command::Stop => self.stop(),
            Command::Call(request) => self.call(request)?,
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
            Command::Handled(delivery, result) => self.handled(delivery, result),
            Command::Acknowledge(id) => self.handled_by_id(&id, Ok(())),
            Command::Nack(id, reason) => self.handled_by_id(&id, Err(reason)),
            Command::Reply(reply, answer) => {
                if let Some(completion) = self.replies.answer(reply, answer) {
                    self.send(HubMessage::Completion(completion));
                }
            }
        }
        Ok(())
    }

    /// Whether new calls should be made now. While it says no, the server has fallen behind with acknowledging what it
    /// got (stateful reconnect), and callers should wait.
    pub fn wants_calls(&self) -> bool {
        !self.stateful.as_ref().is_some_and(Stateful::is_full)
    }

    /// With stateful reconnect every message is counted before it is handled.
    fn handle_counted(&mut self, message: HubMessage<P>) {
        self.metrics.messages_received += 1;
        let verdict = match &mut self.stateful {
            None => Verdict::Handle,
            Some(stateful) => match stateful.receive(&message) {
                Ok(verdict) => verdict,
                Err(error) => return self.fail(error.into(), Fault::Final),
            },
        };
        if matches!(verdict, Verdict::HandleAndAcknowledge | Verdict::DropAndAcknowledge)
            && !self.timers.is_set(Timer::Acknowledge)
        {
            self.set_timer(Timer::Acknowledge, ACKNOWLEDGE_AFTER);
        }
        match verdict {
            Verdict::Handle | Verdict::HandleAndAcknowledge => self.handle_message(message),
            Verdict::Drop | Verdict::DropAndAcknowledge => {
                // The other two types are for this layer.
                self.metrics.duplicates_dropped += u64::from(message.is_sequenced());
            }
        }
    }

    fn handle_message(&mut self, message: HubMessage<P>) {
        match message {
            HubMessage::Invocation(Invocation { invocation_id: None, call }) => {
                self.receive(call, None);
            }
            HubMessage::Invocation(Invocation { invocation_id: Some(id), call }) => {
                if self.replies.len() >= self.config.max_pending_replies {
                    let outcome = Outcome::Error("The client has too many calls to answer.".into());
                    self.send(HubMessage::Completion(Completion::new(id, outcome)));
                } else {
                    let reply = Some(self.replies.open(id));
                    self.receive(call, reply);
                }
            }
            // Clients have no streaming methods, but the caller must not wait for ever.
            HubMessage::StreamInvocation(StreamInvocation { invocation_id, .. }) => {
                let outcome = Outcome::Error("Clients do not stream results.".into());
                self.send(HubMessage::Completion(Completion::new(invocation_id, outcome)));
            }
            HubMessage::StreamItem(item) => match self.calls.item(&item.invocation_id) {
                Some(Ok(call)) => self.event(Event::Item { call, item: item.item }),
                Some(Err(finished)) => self.finish(finished),
                None => {}
            },
            HubMessage::Completion(completion) => {
                if let Some(finished) = self.calls.complete(completion) {
                    self.finish(finished);
                }
            }
            HubMessage::CancelInvocation(cancel) => {
                if let Some(reply) = self.replies.cancel(&cancel.invocation_id) {
                    self.event(Event::InvocationCancelled(reply));
                }
            }
            HubMessage::Close(close) => self.server_closed(close),
            // Receiving anything has reset the timeout; the other two belong to stateful reconnect.
            HubMessage::Ping | HubMessage::Ack { .. } | HubMessage::Sequence { .. } => {}
        }
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
                self.set_timer(Timer::KeepAlive, self.config.keep_alive_interval);
            }
            self.metrics.messages_sent += 1;
            self.out.push_back(Output::Transmit(link, message));
            self.probe_if_due();
        }
    }

    /// Sets a timer, from now on. Never inlined: it has many callers.
    #[inline(never)]
    fn set_timer(&mut self, timer: Timer, after: Duration) {
        self.timers.set(timer, self.now + after);
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
    /// What a store held was given after other inputs.
    RestoredLate,
    /// Negotiation can be skipped only with WebSockets as the one transport.
    SkipNegotiation,
}

impl Misuse {
    /// What to tell people.
    pub fn text(self) -> String {
        match self {
            // The official client's text.
            Self::NotDisconnected(_) => {
                "Cannot start a HubConnection that is not in the 'Disconnected' state.".into()
            }
            Self::CallInUse(call) => numbered("The call id # is in use.", &[call.0]),
            Self::UploadInUse(upload) => numbered("The upload id # is in use.", &[upload.0]),
            Self::RestoredLate => "What the store held must come before everything else.".into(),
            Self::SkipNegotiation => {
                "Negotiation can only be skipped when using the WebSocket transport directly.".into()
            }
        }
    }
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl core::error::Error for Misuse {}

impl From<Misuse> for Error {
    fn from(misuse: Misuse) -> Self {
        Self::new(ErrorKind::Misuse, misuse.text())
    }
}
