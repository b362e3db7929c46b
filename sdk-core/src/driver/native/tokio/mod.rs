//! The native driver: one task that owns the [`Client`], its transport and its timer.
//!
//! Everything that happens, happens in the loop of [`Driver::run`]: it takes one thing that is ready, gives it to the
//! client, and does what the client says. Handlers of the application run in a second task, so that a slow one never
//! keeps the connection from answering pings. What that task, or the reader of a stream, does not take in time waits
//! in the backlog; while there is one, the socket is not read.

mod alarm;
mod causes;
mod certificates;
mod clock;
mod commands;
mod connector;
mod dispatch;
mod http;
mod link;
mod long_polling;
mod outgoing;
mod outlet;
mod posts;
mod proxy;
mod raw;
mod redirect;
mod sse;
mod storage;
mod telling;
mod websocket;

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ::tokio::sync::{mpsc, oneshot, watch};
use ::tokio::task::{AbortHandle, JoinSet};
use ::tokio::time::timeout;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;

use super::event::ConnectionEvent;
use super::handlers::Handlers;
use super::raw::Notice;
use crate::client::{
    BatchId, CallId, CallKind, CallRequest, Client, Command, Config, ConnectionState, Event, Input, LinkId,
    LinkRequest, Output, RequestFailure, RequestId, StoredCall, UploadId,
};
use crate::protocol::frame::FrameDecoder;
use crate::protocol::{Encoding, HandshakeResponse, NegotiateResponse, Payload, Transport};
use crate::{Error, ErrorKind, Time};
use alarm::Alarm;
use clock::Clock;
pub(super) use commands::{
    CallReply, Change, Control, NewCall, Options, Request, RestoredCall, Status, Upload,
};
pub use connector::{Connector, Io, TcpConnector, TcpConnectorBuilder};
use http::{Http, Session};
use link::{Link, LinkEvent, Wanted};
use long_polling::LongPollingLink;
pub(super) use outlet::Outlet;
pub use proxy::Proxy;
use raw::Raw;
use sse::SseLink;
use storage::{Storage, Written};
use telling::{Delivery, deliver_first};
use websocket::WebSocketLink;

/// Bytes that may wait for the socket before calls of the application have to wait.
const OUTGOING_LIMIT: usize = 1 << 20;
/// Calls that are taken together, if they are there.
const TOGETHER: usize = 64;
/// Items of all uploads on their way from their tasks to the driver.
const UPLOAD_ITEMS: usize = 16;

/// What a retry policy that panics has decided.
const PANICKED_POLICY: Duration = Duration::from_secs(30);
/// How long a link that failed may take to close in order.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Who waits for the end of a call.
enum Waiter {
    Send(oneshot::Sender<Result<(), Error>>),
    Invoke(oneshot::Sender<Result<Option<Payload>, Error>>),
    Stream(mpsc::Sender<Result<Payload, Error>>),
}

/// The end of something that runs beside the loop.
enum Finished {
    Token(RequestId, Result<Option<String>, String>),
    Negotiated(RequestId, Result<NegotiateResponse, RequestFailure>),
    Refreshed(RequestId, Result<Option<u64>, RequestFailure>),
    Opened(LinkId, Result<Box<dyn Link>, RequestFailure>),
    Stored(BatchId, Written),
}

/// An item, or the end, of an upload.
enum UploadEvent {
    Item(UploadId, Payload),
    End(UploadId, Option<String>),
}

/// A link that is being opened.
struct Opening {
    id: LinkId,
    task: AbortHandle,
    /// It takes over from a link that was lost: no handshake comes on it.
    resumes: bool,
}

/// A link that is open.
struct OpenLink {
    id: LinkId,
    link: Box<dyn Link>,
    frames: FrameDecoder,
    handshaking: bool,
}

pub(super) struct Driver {
    client: Client<Payload>,
    encoding: Encoding,
    options: Options,
    http: Http,
    clock: Clock,
    deadline: Option<Time>,
    link: Option<OpenLink>,
    /// Token, negotiate and opening requests.
    tasks: JoinSet<Finished>,
    opening: Option<Opening>,
    waiters: HashMap<CallId, Waiter>,
    /// Who wants to know that a call was accepted.
    accepting: HashMap<CallId, oneshot::Sender<Result<(), Error>>>,
    /// Uploads whose call was not sent yet.
    waiting_uploads: HashMap<UploadId, BoxStream<'static, Result<Payload, String>>>,
    uploads: HashMap<UploadId, AbortHandle>,
    upload_items: mpsc::Sender<UploadEvent>,
    upload_queue: mpsc::Receiver<UploadEvent>,
    start_waiters: Vec<oneshot::Sender<Result<(), Error>>>,
    stop_waiters: Vec<oneshot::Sender<()>>,
    backlog: VecDeque<Delivery>,
    outlet: Outlet,
    raw: Raw,
    status: watch::Sender<Status>,
    handlers: Arc<Handlers>,
    storage: Storage,
    restored: Vec<RestoredCall>,
}

impl Driver {
    pub(super) fn new(config: Config, options: Options, outlet: Outlet) -> Self {
        let (upload_items, upload_queue) = mpsc::channel(UPLOAD_ITEMS);
        let mut options = options;
        Self {
            encoding: config.encoding,
            client: Client::new(config, options.seed),
            storage: Storage::new(options.store.take()),
            restored: Vec::new(),
            handlers: Arc::default(),
            http: Http::new(
                options.connector.clone(),
                options.headers.clone(),
                options.token_factory.clone(),
            ),
            options,
            clock: Clock::new(),
            deadline: None,
            link: None,
            tasks: JoinSet::new(),
            opening: None,
            waiters: HashMap::new(),
            accepting: HashMap::new(),
            waiting_uploads: HashMap::new(),
            uploads: HashMap::new(),
            upload_items,
            upload_queue,
            start_waiters: Vec::new(),
            stop_waiters: Vec::new(),
            backlog: VecDeque::new(),
            outlet,
            raw: Raw::default(),
            status: watch::Sender::new(Status::default()),
        }
    }

    /// Messages are for these handlers; their answers come back as `control`.
    pub(super) fn with_handlers(
        mut self,
        handlers: Arc<Handlers>,
        notices: mpsc::Receiver<Notice>,
        control: mpsc::WeakUnboundedSender<Control>,
    ) -> Self {
        self.handlers = handlers.clone();
        ::tokio::spawn(dispatch::run(handlers, notices, control));
        self
    }

    pub(super) fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Runs until every handle is gone and the connection is closed.
    pub(super) async fn run(
        mut self,
        mut requests: mpsc::Receiver<Request>,
        mut control: mpsc::UnboundedReceiver<Control>,
        ids: Arc<AtomicU64>,
    ) {
        self.restore(&ids).await;
        let mut handles_gone = false;
        let mut alarm = Alarm::new();
        loop {
            self.outlet.turn_over();
            if handles_gone && self.client.state() == ConnectionState::Disconnected {
                return self.outlet.flush();
            }
            let queued = self.link.as_mut().map_or(0, |link| link.link.outgoing().len());
            let full = queued >= OUTGOING_LIMIT;
            let wanted = Wanted { read: self.may_receive(), flushed: full };
            alarm.set(self.deadline, &mut self.clock);
            ::tokio::select! {
                // In order: what ends things, what makes room, what comes in, what goes out.
                biased;
                message = control.recv(), if !handles_gone => match message {
                    Some(Control::StopBehind(total)) => {
                        while self.raw.taken < total && let Ok(request) = requests.try_recv() {
                            self.handle_request(request);
                        }
                        self.stop_raw();
                    }
                    Some(message) => self.handle_control(message),
                    None => {
                        handles_gone = true;
                        self.command(Command::Stop);
                    }
                },
                () = deliver_first(&mut self.backlog, &mut self.outlet), if !self.backlog.is_empty() => {
                    if self.backlog.is_empty() {
                        self.input(Input::Resumed);
                        self.handle_received();
                    }
                }
                () = alarm.ring(), if alarm.is_set() => self.input(Input::Tick),
                event = poll_link(&mut self.link, wanted), if self.link.is_some() => self.handle_link(event),
                Some(finished) = self.tasks.join_next(), if !self.tasks.is_empty() => {
                    // A task that was aborted, or whose token factory panicked.
                    if let Ok(finished) = finished {
                        self.handle_finished(finished);
                    }
                },
                Some(request) = requests.recv(), if !full && self.client.wants_calls() => {
                    self.handle_request(request);
                    // What came with it leaves with it.
                    for _ in 1..TOGETHER {
                        let queued = self.link.as_mut().map_or(0, |link| link.link.outgoing().len());
                        if queued >= OUTGOING_LIMIT || !self.client.wants_calls() {
                            break;
                        }
                        let Ok(request) = requests.try_recv() else { break };
                        self.handle_request(request);
                    }
                }
                Some(item) = self.upload_queue.recv(), if !full && self.client.wants_calls() => self.handle_upload(item),
                // Last: as long as there is something to do, there may be more to tell.
                () = std::future::ready(()), if self.outlet.wants_flush() => self.outlet.flush(),
            }
        }
    }

    /// Reads the store, before anything else happens.
    async fn restore(&mut self, ids: &AtomicU64) {
        if self.storage.is_none() {
            return;
        }
        let restored = self.storage.load().await;
        if self.outlet.is_raw() {
            let first = ids.load(Ordering::Relaxed);
            let calls = restored.iter().flat_map(|restored| &restored.calls);
            let targets = calls.map(|(_, stored)| stored.target.to_string());
            self.notice(Notice::Restored((first..).map(CallId).zip(targets).collect()));
            for report in self.storage.take_reports() {
                let text = format!("The store of the outbox was damaged: {report}");
                self.notice(Notice::Event(ConnectionEvent::StoreFailed(Error::new(ErrorKind::Gap, text))));
            }
        }
        let Some(restored) = restored else { return };
        let mut calls = Vec::with_capacity(restored.calls.len());
        for (sequence, stored) in restored.calls {
            let call = CallId(ids.fetch_add(1, Ordering::Relaxed));
            if !self.outlet.is_raw() {
                let (waiter, reply) = oneshot::channel();
                self.waiters.insert(call, Waiter::Invoke(waiter));
                self.restored.push(RestoredCall { call, target: stored.target.to_string(), reply });
            }
            // The connection may have been made with the other encoding last time.
            match stored.arguments.to_encoding(self.encoding) {
                Ok(arguments) => calls.push((call, sequence, StoredCall { arguments, ..stored })),
                Err(error) => {
                    let text = format!(
                        "A stored call of '{}' cannot be sent with the encoding {}: {error}. It stays in the store.",
                        stored.target,
                        self.encoding.name()
                    );
                    self.handle_event(Event::Completed {
                        call,
                        result: Err(Error::new(ErrorKind::Misuse, text)),
                    });
                }
            }
        }
        self.input(Input::Restored { next: restored.next, client_id: restored.client_id, calls });
    }

    fn now(&mut self) -> Time {
        self.clock.now()
    }

    fn command(&mut self, command: Command<Payload>) {
        self.input(Input::Command(command));
    }

    fn input(&mut self, input: Input<Payload>) {
        let now = self.now();
        // Ids are unique and `Start` is handled where its answer is needed, so there is no misuse to report.
        if let Err(misuse) = self.client.handle(now, input) {
            tracing::error!(%misuse, "the driver misused the core");
        }
        self.drain();
    }

    fn handle_request(&mut self, request: Request) {
        match request {
            Request::Start(reply) => {
                if let Some(error) = self.storage.error() {
                    return drop(reply.send(Err(error.clone())));
                }
                let now = self.now();
                match self.client.handle(now, Input::Command(Command::Start)) {
                    Ok(()) => {
                        self.start_waiters.push(reply);
                        self.drain();
                    }
                    Err(misuse) => drop(reply.send(Err(misuse.into()))),
                }
            }
            Request::Call(call) => self.handle_call(call),
            Request::Raw(request) => self.handle_raw(request),
        }
    }

    fn handle_call(&mut self, new: NewCall) {
        let NewCall { call, target, arguments, uploads, options, reply, accepted } = new;
        let (kind, waiter) = match reply {
            CallReply::Send(reply) => (CallKind::Send, Waiter::Send(reply)),
            // The caller may have gone away while its request waited.
            CallReply::Invoke(reply) if reply.is_closed() => return,
            CallReply::Invoke(reply) => (CallKind::Invoke, Waiter::Invoke(reply)),
            CallReply::Stream(items) => {
                let (sender, receiver) = mpsc::channel(self.options.stream_buffer);
                if items.send(receiver).is_err() {
                    return;
                }
                (CallKind::Stream, Waiter::Stream(sender))
            }
        };
        self.waiters.insert(call, waiter);
        let durable = options.durable;
        if let Some(accepted) = accepted {
            self.accepting.insert(call, accepted);
        }
        let ids = uploads.iter().map(|upload| upload.id).collect();
        self.waiting_uploads.extend(uploads.into_iter().map(|upload| (upload.id, upload.items)));
        let target = target.into();
        self.command(Command::Call(CallRequest { call, kind, target, arguments, uploads: ids, options }));
        // What no store keeps is accepted unless it was refused by now.
        if !durable && let Some(accepted) = self.accepting.remove(&call) {
            let _ = accepted.send(Ok(()));
        }
    }

    /// Reads an upload in a task of its own: it is the application's code. Its items come back through a queue, behind
    /// the call that they belong to.
    fn start_upload(&mut self, id: UploadId) {
        let Some(mut items) = self.waiting_uploads.remove(&id) else { return };
        let queue = self.upload_items.clone();
        let task = ::tokio::spawn(async move {
            while let Some(item) = items.next().await {
                let (event, ended) = match item {
                    Ok(item) => (UploadEvent::Item(id, item), false),
                    Err(error) => (UploadEvent::End(id, Some(error)), true),
                };
                if queue.send(event).await.is_err() || ended {
                    return;
                }
            }
            let _ = queue.send(UploadEvent::End(id, None)).await;
        });
        self.uploads.insert(id, task.abort_handle());
    }

    fn handle_upload(&mut self, event: UploadEvent) {
        match event {
            UploadEvent::Item(upload, item) => self.command(Command::Item { upload, item }),
            UploadEvent::End(upload, error) => {
                self.uploads.remove(&upload);
                self.command(Command::EndUpload { upload, error });
            }
        }
    }

    fn handle_control(&mut self, control: Control) {
        match control {
            Control::Stop(reply) => {
                self.stop_waiters.push(reply);
                self.command(Command::Stop);
                if self.client.state() == ConnectionState::Disconnected {
                    // Dropping the sender answers.
                    self.stop_waiters.clear();
                }
            }
            Control::Cancel(call) => self.cancel(call),
            Control::Reply(reply, answer) => self.command(Command::Reply(reply, answer)),
            Control::Handled(delivery, result) => self.command(Command::Handled(delivery, result)),
            Control::Acknowledge(id) => self.command(Command::Acknowledge(id)),
            Control::Nack(id, reason) => self.command(Command::Nack(id, reason)),
            Control::Positions(reply) => drop(reply.send(self.client.positions())),
            Control::Hint(hint) => self.input(Input::Hint(hint)),
            Control::Metrics(reply) => drop(reply.send(self.client.metrics())),
            Control::StoreReports(reply) => drop(reply.send(self.storage.take_reports())),
            Control::Restored(reply) => drop(reply.send(std::mem::take(&mut self.restored))),
            Control::StopBehind(_) => self.stop_raw(),
            Control::RetryAfter(request, delay) => self.input(Input::RetryAfter(request, delay)),
            Control::Change(Change::Url(url)) => self.client.set_url(url),
            Control::Change(Change::KeepAlive(interval)) => self.client.set_keep_alive_interval(interval),
            Control::Change(Change::ServerTimeout(timeout)) => self.client.set_server_timeout(timeout),
        }
    }

    fn handle_finished(&mut self, finished: Finished) {
        match finished {
            Finished::Token(request, token) => self.input(Input::Token(request, token)),
            Finished::Negotiated(request, response) => self.input(Input::Negotiated(request, response)),
            Finished::Refreshed(request, result) => self.input(Input::Refreshed(request, result)),
            Finished::Opened(id, Ok(link)) => {
                // Shut while it was opening: dropping the link is all there is to do.
                let Some(opening) = self.opening.take_if(|opening| opening.id == id) else { return };
                let mut frames = FrameDecoder::new(self.options.max_message_size);
                if opening.resumes {
                    frames.begin(self.encoding);
                }
                self.link = Some(OpenLink { id, link, frames, handshaking: !opening.resumes });
                self.input(Input::Opened(id));
            }
            Finished::Stored(batch, written) => {
                let result = self.storage.written(written);
                self.input(Input::Stored(batch, result));
            }
            Finished::Opened(id, Err(failure)) => {
                self.opening = None;
                self.input(Input::Closed(id, Err(failure)));
            }
        }
    }

    fn handle_link(&mut self, event: LinkEvent) {
        let Some(link) = &mut self.link else { return };
        let id = link.id;
        match event {
            LinkEvent::Flushed => {}
            LinkEvent::Pong(number) => self.input(Input::Pong(id, number)),
            LinkEvent::Closed(result) => {
                self.link = None;
                self.input(Input::Closed(id, result));
            }
            // After `Stop` nothing that comes matters any more.
            LinkEvent::Received(_) if self.client.state() == ConnectionState::Disconnecting => {}
            LinkEvent::Received(bytes) => {
                link.frames.push(bytes);
                self.handle_received();
            }
        }
    }

    /// Handles what was received, until the application falls behind: a frame may hold any number of messages.
    fn handle_received(&mut self) {
        while self.may_receive()
            && let Some(input) = self.next_message()
        {
            self.input(input);
        }
    }

    /// Whether what comes can be handled: the application has taken what came before, or has nothing to do with it.
    fn may_receive(&self) -> bool {
        self.backlog.is_empty() || self.link.as_ref().is_some_and(|link| link.handshaking)
    }

    /// The next message of what was received, as input.
    fn next_message(&mut self) -> Option<Input<Payload>> {
        let link = self.link.as_mut()?;
        loop {
            let frame = match link.frames.next() {
                Ok(frame) => frame?,
                Err(error) => return Some(Input::Malformed(link.id, error)),
            };
            if link.handshaking {
                link.handshaking = false;
                link.frames.begin(self.encoding);
                return Some(Input::Handshake(link.id, HandshakeResponse::decode(&frame)));
            }
            match self.encoding.decode(&frame) {
                Ok(Some(message)) => return Some(Input::Message(link.id, message)),
                Ok(None) => {}
                Err(error) => return Some(Input::Malformed(link.id, error)),
            }
        }
    }

    /// Does what the client says, until it says to wait.
    fn drain(&mut self) {
        loop {
            match self.client.poll() {
                Output::Wait(deadline) => {
                    self.deadline = deadline;
                    return self.tell_held();
                }
                Output::Retry(request, context) if self.outlet.is_raw() && self.options.retry.is_none() => {
                    let change = self.raw.held.take();
                    self.notice(Notice::Retry { request, context, change });
                }
                Output::Retry(request, context) => {
                    let policy = self.options.retry.clone();
                    let decide = AssertUnwindSafe(|| policy.and_then(|policy| policy(&context)));
                    let delay = catch_unwind(decide).unwrap_or_else(|_| {
                        tracing::error!("the retry policy panicked");
                        // To give up is the application's decision.
                        Some(PANICKED_POLICY)
                    });
                    let now = self.now();
                    let _ = self.client.handle(now, Input::RetryAfter(request, delay));
                }
                Output::Probe(id, number) => {
                    if let Some(link) = self.link.as_mut().filter(|link| link.id == id) {
                        link.link.ping(number);
                    }
                }
                Output::Store(batch, ops) => {
                    let write = self.storage.write(ops);
                    self.tasks.spawn_blocking(move || Finished::Stored(batch, write()));
                }
                Output::Token(request) => {
                    let token = self.options.token_factory.as_ref().map(|factory| factory());
                    self.tasks.spawn(async move {
                        let token = match token {
                            Some(token) => token.await,
                            None => Ok(None),
                        };
                        Finished::Token(request, token)
                    });
                }
                Output::Negotiate(request, http) => {
                    let client = self.http.clone();
                    self.tasks
                        .spawn(async move { Finished::Negotiated(request, client.negotiate(http).await) });
                }
                Output::Refresh(request, http) => {
                    let client = self.http.clone();
                    self.tasks.spawn(async move { Finished::Refreshed(request, client.refresh(http).await) });
                }
                Output::Open(id, request) => {
                    let resumes = request.resumes;
                    let text = self.encoding == Encoding::Json;
                    let opened = open(self.http.clone(), request, text, self.options.max_message_size);
                    let task = self.tasks.spawn(async move { Finished::Opened(id, opened.await) });
                    self.opening = Some(Opening { id, task, resumes });
                }
                Output::Handshake(id, request) => {
                    if let Some(link) = self.link.as_mut().filter(|link| link.id == id) {
                        link.link.outgoing().push_handshake(request.to_text());
                    }
                }
                Output::Transmit(id, message) => {
                    if let Some(link) = self.link.as_mut().filter(|link| link.id == id) {
                        let encoding = self.encoding;
                        if let Err(error) = link.link.outgoing().push(|out| encoding.encode(&message, out)) {
                            // Payloads are made with this connection's encoding.
                            tracing::error!(%error, "a message could not be encoded");
                        }
                    }
                }
                Output::Shut(id) => self.shut(id),
                Output::Abandon(id) => {
                    if let Some(opening) = self.opening.take_if(|opening| opening.id == id) {
                        opening.task.abort();
                    }
                    self.link.take_if(|link| link.id == id);
                }
                Output::Event(event) => self.handle_event(event),
            }
        }
    }

    fn shut(&mut self, id: LinkId) {
        if let Some(opening) = self.opening.take_if(|opening| opening.id == id) {
            opening.task.abort();
        }
        let Some(link) = self.link.as_mut().filter(|link| link.id == id) else { return };
        if self.client.state() == ConnectionState::Disconnecting {
            link.link.close();
        } else if let Some(link) = self.link.take() {
            // The client does not wait for it: closed in order beside the loop.
            ::tokio::spawn(close_link(link));
        }
    }
}

/// Opens the transport that the core chose.
async fn open(
    http: Http,
    request: LinkRequest,
    text: bool,
    max_message_size: usize,
) -> Result<Box<dyn Link>, RequestFailure> {
    let session = || Session::new(http.clone(), &request.url, request.token.clone());
    Ok(match request.transport {
        Transport::WebSockets => Box::new(WebSocketLink::open(&http, request, text, max_message_size).await?),
        Transport::ServerSentEvents => Box::new(SseLink::open(session(), max_message_size).await?),
        Transport::LongPolling => {
            // One response may hold several messages.
            let limit = max_message_size.saturating_mul(2).max(1 << 20);
            Box::new(LongPollingLink::open(session(), text, limit).await?)
        }
    })
}

async fn poll_link(link: &mut Option<OpenLink>, wanted: Wanted) -> LinkEvent {
    match link {
        Some(link) => poll_fn(|cx| link.link.poll(cx, wanted)).await,
        None => std::future::pending().await,
    }
}

/// Closes a link that the client has left behind.
async fn close_link(mut link: OpenLink) {
    link.link.close();
    let closed = async {
        let wanted = Wanted { read: true, flushed: false };
        while !matches!(poll_fn(|cx| link.link.poll(cx, wanted)).await, LinkEvent::Closed(_)) {}
    };
    let _ = timeout(CLOSE_TIMEOUT, closed).await;
}
