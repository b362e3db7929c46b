//! The task of one connection: transport ⇄ frames ⇄ [`Session`] ⇄ methods.

pub(crate) mod builtin;
mod link;
mod methods;
mod repetitions;
mod shared;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use hubwire::Time;
use hubwire::protocol::frame::FrameDecoder;
use hubwire::protocol::{
    Encoding, HandshakeRequest, HandshakeResponse, HubMessage, Outcome, Payload, ProtocolError,
};
use tokio::time::Sleep;

use crate::endpoint::Endpoint;
use crate::error::HubError;
use crate::identity::Identity;
use crate::outbox::Command;
use crate::registry;
use crate::session::{End, Input, MethodCall, Output, Session, SessionConfig};
use crate::shutdown::ShutdownWaker;
use crate::stats::now_millis;
use crate::transport::{LinkSlot, Received, Transport};
use crate::{Context, Principal};

use methods::Methods;
use repetitions::Turn;
pub(crate) use shared::Connection;
pub use shared::Items;

/// How many steps a task makes before it lets others run.
const BUDGET: usize = 128;

/// One connection, from the opened transport to its end.
pub(crate) struct ConnectionTask<T> {
    endpoint: Arc<Endpoint>,
    /// `None` while a connection that can be resumed has none.
    transport: Option<T>,
    /// Where another one comes, with stateful reconnect.
    links: Option<Arc<LinkSlot<T>>>,
    session: Session<Payload>,
    decoder: FrameDecoder,
    id: ByteString,
    identity: Arc<Identity>,
    /// The principal whose expiry the session knows, if that matters.
    expiring: Option<Arc<Principal>>,
    /// From the handshake on.
    connection: Option<Arc<Connection>>,
    registration: Option<Registration>,
    /// The answer to the handshake, which leaves in a frame of its own.
    handshake: Option<Bytes>,
    /// Whether that frame is on its way. Nothing else leaves meanwhile.
    handshake_leaves: bool,
    /// With stateful reconnect: what leaves before everything else and is not counted, repetitions included.
    urgent: VecDeque<Bytes>,
    connect_hook: Option<BoxFuture<'static, Result<(), String>>>,
    /// Whether the connect hook succeeded, so that the disconnect hook has to run.
    connected: bool,
    methods: Methods,
    /// Whether bytes may wait inside of the transport.
    unflushed: bool,
    stalled: bool,
    /// Whether the client can be reached now.
    attached: bool,
    timer: Pin<Box<Sleep>>,
    /// When the timer fires. It may be earlier than needed: most deadlines only move back.
    timer_at: Option<Time>,
    deadline: Option<Time>,
    shutdown: ShutdownWaker,
    told_of_shutdown: bool,
    end: Option<End>,
}

impl<T: Transport> ConnectionTask<T> {
    pub(crate) fn new(
        endpoint: Arc<Endpoint>,
        transport: T,
        id: ByteString,
        identity: Arc<Identity>,
        session: Arc<SessionConfig>,
    ) -> Box<Self> {
        let now = endpoint.clock.now();
        let settings = &endpoint.settings;
        // Boxed, because the state of an async function has a place for each time that a value moves.
        Box::new(Self {
            session: Session::new(now, session),
            decoder: FrameDecoder::new(settings.message_bytes),
            timer: Box::pin(tokio::time::sleep_until(endpoint.clock.instant(now))),
            shutdown: ShutdownWaker::new(&endpoint.shutdown),
            told_of_shutdown: false,
            endpoint,
            transport: Some(transport),
            links: None,
            id,
            identity,
            expiring: None,
            connection: None,
            registration: None,
            handshake: None,
            handshake_leaves: false,
            urgent: VecDeque::new(),
            connect_hook: None,
            connected: false,
            methods: Methods::default(),
            unflushed: false,
            stalled: false,
            attached: true,
            timer_at: None,
            deadline: None,
            end: None,
        })
    }

    /// The connection can go on over transports that come there.
    pub(crate) fn takes_links_from(&mut self, slot: Arc<LinkSlot<T>>) {
        self.links = Some(slot);
    }

    /// Runs the connection to its end.
    pub(crate) async fn run(mut self: Box<Self>) {
        self.drain();
        poll_fn(|cx| self.poll(cx)).await;
        // Boxed, too, because every idle connection would carry it.
        Box::pin(self.finish()).await;
    }

    /// Does everything that can be done now. Completes when the session has ended.
    fn poll(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        let mut budget = BUDGET;
        self.shutdown.register(cx);
        loop {
            self.notice_presence(cx);
            self.take_link(cx);
            let mut held_streams = false;
            while budget > 0 && self.end.is_none() && self.step(cx, &mut held_streams) {
                budget -= 1;
            }
            // Writing comes after reading, so that what was answered meanwhile leaves in one frame.
            let blocked = self.poll_write(cx) || !self.may_write();
            if self.end.is_some() {
                return Poll::Ready(());
            }
            if budget == 0 {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let more = match &self.connection {
                Some(connection) => connection.outbox.park(cx, blocked),
                None => false,
            };
            if !more && (blocked || !held_streams) && !self.poll_timer(cx) {
                return Poll::Pending;
            }
            budget -= 1;
        }
    }

    /// One thing that happened. Returns whether there may be more.
    fn step(&mut self, cx: &mut TaskContext<'_>, held_streams: &mut bool) -> bool {
        if self.take_commands() {
            return true;
        }
        if let Some(hook) = &mut self.connect_hook
            && let Poll::Ready(result) = hook.poll_unpin(cx)
        {
            self.connect_hook = None;
            self.connected = result.is_ok();
            self.input(Input::Connected(result));
            return true;
        }
        if let Some(ended) = self.methods.poll_call(cx) {
            if let Some(input) = ended {
                self.input(input);
            }
            return true;
        }
        if self.methods.has_streams() {
            // A stream goes only as fast as the client takes its items.
            *held_streams = self.waiting_bytes() >= self.endpoint.settings.coalesced_bytes;
            if !*held_streams && let Some(input) = self.methods.poll_stream(cx) {
                self.input(input);
                return true;
            }
        }
        if !self.told_of_shutdown && self.endpoint.shutdown.has_begun() {
            self.told_of_shutdown = true;
            let window = Some(self.endpoint.settings.drain_window).filter(|_| self.identity.is_announced());
            let retry_after = window.map(|window| self.endpoint.shutdown.slot(window));
            self.input(Input::Shutdown { retry_after });
            return true;
        }
        self.session.wants_input() && self.receive(cx)
    }

    fn take_commands(&mut self) -> bool {
        let Some(connection) = &self.connection else { return false };
        let (commands, overflowed) = connection.outbox.take_commands();
        if overflowed {
            self.input(Input::Overflow);
            return true;
        }
        let some = !commands.is_empty();
        for command in commands {
            let input = match command {
                Command::Abort => Input::Abort,
                Command::Close { error, allow_reconnect } => Input::Close { error, allow_reconnect },
                Command::Release(call) => Input::Release(call),
                Command::Consumed(upload) => Input::Consumed(upload),
                Command::Discard(upload) => {
                    self.methods.close_upload(upload);
                    Input::Discard(upload)
                }
                Command::InvokeClient { id, call, reply } => {
                    self.methods.expect_reply(id.clone(), reply);
                    Input::InvokeClient { id, call }
                }
                Command::ForgetClientCall(id) => {
                    self.methods.forget_reply(&id);
                    Input::ForgetClientCall(id)
                }
            };
            self.input(input);
        }
        some
    }

    /// Takes the next message. Returns whether there may be more.
    fn receive(&mut self, cx: &mut TaskContext<'_>) -> bool {
        let input = match self.decoder.next() {
            Ok(Some(frame)) => self.decode(&frame),
            Err(error) => Input::Violation(error),
            Ok(None) => match self.poll_receive(cx) {
                Poll::Pending => return false,
                Poll::Ready(Received::Frame(frame)) => {
                    self.decoder.push(frame);
                    return true;
                }
                Poll::Ready(Received::TooLarge) => {
                    Input::Violation(ProtocolError::TooLarge { limit: self.endpoint.settings.message_bytes })
                }
                Poll::Ready(Received::Closed) => Input::LinkLost(None),
                Poll::Ready(Received::Lost(error)) => Input::LinkLost(Some(error)),
            },
        };
        self.input(input);
        true
    }

    fn decode(&mut self, frame: &Bytes) -> Input<Payload> {
        let Some(connection) = &self.connection else {
            let request = HandshakeRequest::decode(frame);
            if let Ok(request) = request {
                self.accept(request.encoding);
            }
            return Input::Handshake(request);
        };
        match connection.encoding.decode(frame) {
            Ok(Some(message)) => {
                self.endpoint.stats.received();
                Input::Message(message)
            }
            Ok(None) => Input::Unknown,
            Err(error) => Input::Violation(error),
        }
    }

    /// The encoding is known. Nobody else sees the connection before [`Output::Connect`].
    fn accept(&mut self, encoding: Encoding) {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        self.decoder.begin(encoding);
        self.connection = Some(Arc::new(Connection::new(
            NEXT.fetch_add(1, Ordering::Relaxed),
            self.id.clone(),
            self.identity.clone(),
            encoding,
            self.endpoint.outbox_limits(),
            self.endpoint.queued.clone(),
        )));
    }

    fn input(&mut self, input: Input<Payload>) {
        if let (Input::Finished { call, .. }, Some(connection)) = (&input, &self.connection) {
            connection.tokens.remove(*call);
        }
        self.session.handle(self.endpoint.clock.now(), input);
        self.drain();
    }

    fn drain(&mut self) {
        loop {
            match self.session.poll() {
                Output::Wait(deadline) => {
                    self.deadline = deadline;
                    return;
                }
                Output::Handshake(response) => self.answer_handshake(&response),
                Output::Connect => self.connect(),
                Output::Transmit(message) => self.transmit(&message),
                Output::Run(call) => {
                    let key = call.key;
                    if let Some(input) = self.run_method(call) {
                        if let Some(connection) = &self.connection {
                            connection.tokens.remove(key);
                        }
                        self.session.handle(self.endpoint.clock.now(), input);
                    }
                }
                Output::Cancel(call) => {
                    self.methods.cancel(call);
                    if let Some(connection) = &self.connection {
                        connection.tokens.cancel(call);
                    }
                }
                Output::Withdrawn(headers) => self.withdraw(&headers),
                Output::OpenUpload(upload) => self.methods.open_upload(upload),
                Output::CloseUpload(upload) => self.methods.close_upload(upload),
                Output::Upload(upload, event) => self.methods.upload(upload, event),
                Output::ClientResult { id, outcome } => {
                    let result = match outcome {
                        Outcome::Value(value) => Ok(value),
                        Outcome::Void => Ok(Payload::null(self.encoding())),
                        Outcome::Error(text) => Err(HubError::new(text.to_string())),
                    };
                    self.methods.reply(&id, result);
                }
                Output::DropLink => self.drop_link(),
                Output::Replay(frames) => self.urgent.extend(frames),
                Output::End(end) => self.end = Some(end),
            }
        }
    }

    fn answer_handshake(&mut self, response: &HandshakeResponse) {
        let mut bytes = Vec::new();
        response.encode(&mut bytes);
        self.handshake = Some(bytes.into());
    }

    fn connect(&mut self) {
        self.note_expiry();
        let Some(connection) = &self.connection else { return };
        let endpoint = &self.endpoint;
        let register = || Registration::new(endpoint.clone(), connection.clone());
        self.registration = Some(endpoint.fanout.connect(connection, register));
        endpoint.stats.opened();
        endpoint.events.push(&endpoint.path, "connected", self.identity.principal().user_id(), None);
        if !endpoint.hub.has_connected_hook() {
            self.connected = true;
            self.session.handle(endpoint.clock.now(), Input::Connected(Ok(())));
            return;
        }
        let context = Context::new(connection.clone(), endpoint.clone(), None);
        let endpoint = endpoint.clone();
        self.connect_hook = Some(Box::pin(async move {
            endpoint.hub.connected(context, endpoint.settings.detailed_errors).await
        }));
    }

    /// Tells the session when the token expires. A newer one counts when the time of the older one has come.
    fn note_expiry(&mut self) {
        if !self.endpoint.options.close_on_authentication_expiration {
            return;
        }
        let principal = self.identity.principal();
        if self.expiring.as_ref().is_some_and(|known| Arc::ptr_eq(known, &principal)) {
            return;
        }
        let now = self.endpoint.clock.now();
        let expires = principal.expires_at().map(|at| {
            let left = Duration::from_secs(at).saturating_sub(Duration::from_millis(now_millis()));
            now + left + self.endpoint.settings.leeway
        });
        self.expiring = Some(principal);
        self.session.handle(now, Input::Expires(expires));
    }

    fn transmit(&mut self, message: &HubMessage<Payload>) {
        let Some(connection) = &self.connection else { return };
        let frame = registry::encode(connection.encoding, message);
        if message.is_sequenced() {
            self.endpoint.stats.sent(1);
        } else if self.session.is_counting() && !matches!(message, HubMessage::Close(_)) {
            // Not behind what may have to wait for this very acknowledgement.
            self.urgent.push_back(frame);
            return;
        }
        connection.outbox.push(frame);
    }

    fn run_method(&mut self, call: MethodCall<Payload>) -> Option<Input<Payload>> {
        let connection = self.connection.clone()?;
        let (key, streaming) = (call.key, call.streaming);
        if let Some(input) = self.run_builtin(&connection, &call) {
            return Some(input);
        }
        let mut purpose = match self.turn(&connection, &call) {
            Turn::Run(purpose) => purpose,
            Turn::Done(input) => return input,
        };
        let uploads = self.methods.take_uploads(&call.uploads, &connection);
        let context = Context::new(connection, self.endpoint.clone(), Some(key));
        let ended = match self.endpoint.hub.dispatch(&self.endpoint, context, call, uploads) {
            Ok(method) => self.methods.start(key, streaming, method, purpose),
            Err(text) => {
                let outcome = Outcome::Error(text.into());
                purpose.fulfil(&outcome);
                Some(Input::Finished { call: key, outcome })
            }
        };
        // Items keep the order in which a method did things: what it sent is in the outbox already.
        ended
    }

    fn encoding(&self) -> Encoding {
        self.connection.as_ref().map_or(Encoding::Json, |connection| connection.encoding)
    }

    fn waiting_bytes(&self) -> usize {
        self.connection.as_ref().map_or(0, |connection| connection.outbox.bytes())
    }

    /// Arms the timer. Returns whether its time has come.
    fn poll_timer(&mut self, cx: &mut TaskContext<'_>) -> bool {
        loop {
            let Some(deadline) = self.deadline else { return false };
            if self.timer_at.is_none_or(|at| deadline < at) {
                self.timer.as_mut().reset(self.endpoint.clock.instant(deadline));
                self.timer_at = Some(deadline);
            }
            if self.timer.poll_unpin(cx).is_pending() {
                return false;
            }
            self.timer_at = None;
            if self.endpoint.clock.now() >= deadline {
                self.note_expiry();
                self.input(Input::Tick);
                if let Some(connection) = &self.connection {
                    connection.outbox.release_memory();
                }
                return true;
            }
        }
    }

    /// Says goodbye to everybody.
    async fn finish(mut self: Box<Self>) {
        let end = self.end.take().unwrap_or(End::LinkLost(None));
        if let Some(links) = &self.links {
            links.set_open(false);
        }
        let endpoint = self.endpoint.clone();
        if let Some(connection) = &self.connection {
            endpoint.remove(connection);
            connection.tokens.close();
        }
        let settings = &endpoint.settings;
        let is_error = matches!(end, End::Violation(_) | End::ConnectFailed(_) | End::ClientTimeout);
        if !matches!(end, End::SlowConsumer | End::Abandoned | End::LinkLost(Some(_))) {
            // A client that does not take its last messages is not waited for any longer than that.
            let farewell = poll_fn(|cx| {
                if self.poll_write(cx) {
                    return Poll::Pending;
                }
                self.transport.as_mut().map_or(Poll::Ready(()), |link| link.poll_close(cx, is_error))
            });
            let _ = tokio::time::timeout(settings.close_timeout, farewell).await;
        }
        let Self { transport, connection, methods, connect_hook, mut connected, .. } = *self;
        drop(transport);
        let Some(connection) = connection else { return };
        connection.outbox.close();
        methods.detach();
        if let Some(hook) = connect_hook {
            connected = hook.await.is_ok();
        }
        let principal = connection.identity.principal();
        endpoint.events.push(&endpoint.path, "disconnected", principal.user_id(), Some(end.name()));
        tracing::debug!(hub = endpoint.path, reason = end.name(), "a connection ended");
        if connected {
            let context = Context::new(connection.clone(), endpoint.clone(), None);
            endpoint.hub.disconnected(context, end.error()).await;
        }
    }
}

/// Keeps a connection in the registry, and takes it out however its task ends: dropped tasks and panics included.
struct Registration {
    endpoint: Arc<Endpoint>,
    connection: Arc<Connection>,
}

impl Registration {
    fn new(endpoint: Arc<Endpoint>, connection: Arc<Connection>) -> Self {
        endpoint.add(&connection);
        Self { endpoint, connection }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.endpoint.remove(&self.connection);
        self.connection.tokens.close();
        self.connection.outbox.close();
    }
}
