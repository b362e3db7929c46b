use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};

use super::builder::HubConnectionBuilder;
use super::call::CallBuilder;
use super::event::ConnectionEvent;
use super::handlers::{AsyncHandler, Entry, Handler, Handlers, Subscription};
use super::manager::Lease;
use super::queued::QueuedCall;
use super::store::StoreReport;
use super::stream::ItemStream;
use super::tokio::{Control, Driver, Options, Outlet, Request, Status};
use crate::client::{
    CallId, Cause, Config, ConnectionState, Hint, Metrics, OutboxProgress, Quality, UploadId,
};
use crate::protocol::Encoding;
use crate::protocol::delivery::Position;
use crate::{Error, ErrorKind};

/// A connection to a hub.
///
/// Cheap to clone; all clones are the same connection. When the last one is dropped the connection stops. A handler
/// that holds a clone keeps it alive: such a connection ends with [`stop`](Self::stop).
///
/// ```no_run
/// # async fn example() -> Result<(), hubwire::Error> {
/// use hubwire::HubConnection;
///
/// let connection = HubConnection::builder("https://example.org/hubs/chat").access_token("…").build()?;
/// connection.on("ReceiveMessage", |message: serde_json::Value| println!("{message}"));
/// connection.start().await?;
/// connection.invoke::<()>("JoinConversation", ("general",)).await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct HubConnection {
    shared: Arc<Shared>,
    /// Tells a manager that this handle is gone.
    lease: Option<Arc<Lease>>,
}

struct Shared {
    requests: mpsc::Sender<Request>,
    control: mpsc::UnboundedSender<Control>,
    handlers: Arc<Handlers>,
    status: watch::Receiver<Status>,
    encoding: Encoding,
    next_id: Arc<AtomicU64>,
}

/// The connection went into another state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateChange {
    /// The state it was in.
    pub from: ConnectionState,
    /// The state it is in now.
    pub to: ConnectionState,
    /// What made it change.
    pub cause: Cause,
}

/// How many calls may be on their way to the driver; senders wait when it is full.
const REQUESTS: usize = 256;

impl HubConnection {
    /// Begins to configure a connection to the hub at that address, `http://…` or `https://…`.
    pub fn builder(url: impl Into<String>) -> HubConnectionBuilder {
        HubConnectionBuilder::new(url)
    }

    pub(super) fn spawn(runtime: &Handle, config: Config, options: Options) -> Self {
        let (requests, request_queue) = mpsc::channel(REQUESTS);
        let (control, control_queue) = mpsc::unbounded_channel();
        let handlers = Arc::new(Handlers::default());
        let encoding = config.encoding;
        let (outlet, notices) = Outlet::handlers();
        let driver = Driver::new(config, options, outlet);
        let driver = driver.with_handlers(handlers.clone(), notices, control.downgrade());
        let status = driver.status();
        let next_id = Arc::new(AtomicU64::new(0));
        let driver = driver.run(request_queue, control_queue, next_id.clone());
        runtime.spawn(driver);
        let shared = Shared { requests, control, handlers, status, encoding, next_id };
        Self { shared: Arc::new(shared), lease: None }
    }

    /// Connects, and keeps trying as the [retry policy](super::HubConnectionBuilder::retry) says: with the default one
    /// it returns when the connection is there, however long that takes. [`stop`](Self::stop) ends it; dropping the
    /// future does not.
    ///
    /// # Errors
    /// [`ErrorKind::Misuse`] when it is not disconnected, or the store of the outbox cannot be read; else why the
    /// connection could not be made: trying again cannot help, or the policy has given up.
    pub async fn start(&self) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        self.request(Request::Start(reply)).await?;
        answer.await.unwrap_or_else(|_| Err(driver_gone()))
    }

    /// Disconnects in order, and returns when that is done. Calls that still wait end with an error. Does nothing
    /// when there is no connection.
    pub async fn stop(&self) {
        let (reply, answer) = oneshot::channel();
        if self.shared.control.send(Control::Stop(reply)).is_ok() {
            let _ = answer.await;
        }
    }

    /// The state of the connection.
    pub fn state(&self) -> ConnectionState {
        self.shared.status.borrow().state
    }

    /// The public id of the connection; none while not connected and without negotiation.
    pub fn connection_id(&self) -> Option<String> {
        self.shared.status.borrow().connection_id.clone()
    }

    /// The hub protocol.
    pub fn encoding(&self) -> Encoding {
        self.shared.encoding
    }

    /// Calls a method and waits for its result. `arguments` is a tuple: `()`, `(1,)`, `("a", 2)`. Use `()` as `T`
    /// for methods without a result. Dropping the future takes the call back.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`] with the server's text when the method failed; [`ErrorKind::Misuse`] when the arguments
    /// cannot be encoded; [`ErrorKind::Protocol`] when the result is no `T`; [`ErrorKind::OutcomeUnknown`] when the
    /// connection was lost first; [`ErrorKind::Overflow`] when too many calls wait; [`ErrorKind::Timeout`] past the
    /// timeout of calls. Without a connection the call waits for one; the
    /// [table](crate::client#calls-and-lost-connections) has every case.
    pub async fn invoke<T: DeserializeOwned>(
        &self,
        target: &str,
        arguments: impl Serialize + Send,
    ) -> Result<T, Error> {
        self.call(target).arguments(arguments).invoke().await
    }

    /// Calls a method without asking whether it ran. Returns as soon as the message was handed to the transport; without
    /// a connection it waits for one. What was handed over just before a connection is lost may be lost too: a call
    /// that must arrive is [idempotent](CallBuilder::idempotent) or [durable](CallBuilder::durable).
    ///
    /// # Errors
    /// [`ErrorKind::Misuse`] when the arguments cannot be encoded; [`ErrorKind::Overflow`] when too many calls wait;
    /// [`ErrorKind::Cancelled`] when the connection is stopped first.
    pub async fn send(&self, target: &str, arguments: impl Serialize + Send) -> Result<(), Error> {
        self.call(target).arguments(arguments).send().await
    }

    /// Calls a streaming method. Dropping the stream cancels it on the server.
    ///
    /// # Errors
    /// [`ErrorKind::Misuse`] when the arguments cannot be encoded; anything later is the stream's last item.
    pub async fn stream<T: DeserializeOwned>(
        &self,
        target: &str,
        arguments: impl Serialize + Send,
    ) -> Result<ItemStream<T>, Error> {
        self.call(target).arguments(arguments).stream().await
    }

    /// Begins a call that needs more than arguments: streams to upload.
    pub fn call(&self, target: &str) -> CallBuilder {
        CallBuilder::new(self.clone(), target)
    }

    /// Calls `handler` with the arguments of every message for that method, in the order they come. Names are
    /// compared without regard to case; several handlers of one method run in the order they were added.
    ///
    /// The handler takes the arguments by type: `|user: String, text: String| …`. While it runs the next message
    /// waits.
    pub fn on<Args>(&self, target: &str, handler: impl Handler<Args>) -> Subscription {
        self.shared.handlers.add(target, Entry::plain(handler))
    }

    /// As [`on`](Self::on), for a handler that returns a future; the next message waits until it is done.
    ///
    /// When 256 messages wait, the connection reads nothing more until one is done. A handler that waits for a call of its own
    /// connection then waits for ever, since the end of the call is not read either: such a call belongs into a task of its
    /// own.
    pub fn on_async<Args>(
        &self,
        target: &str,
        handler: impl AsyncHandler<Args, Output = ()>,
    ) -> Subscription {
        self.shared.handlers.add(target, Entry::plain_async(handler))
    }

    /// As [`on_async`](Self::on_async), for a handler that may fail. A message that the server wants to have acknowledged
    /// is refused then, with the text of the error, and may come again.
    pub fn on_fallible<Args, E>(
        &self,
        target: &str,
        handler: impl AsyncHandler<Args, Output = Result<(), E>>,
    ) -> Subscription
    where
        E: fmt::Display + 'static,
    {
        self.shared.handlers.add(target, Entry::fallible(handler))
    }

    /// Acknowledges the message with that id; for methods with [`AckMode::Manual`](crate::client::AckMode::Manual).
    pub fn acknowledge(&self, message_id: &str) {
        self.control(Control::Acknowledge(message_id.to_owned()));
    }

    /// Refuses the message with that id, so that it may come again; for methods with
    /// [`AckMode::Manual`](crate::client::AckMode::Manual).
    pub fn nack(&self, message_id: &str, reason: &str) {
        self.control(Control::Nack(message_id.to_owned(), reason.to_owned()));
    }

    /// Where the connection stands in the streams with history that it follows: what the handlers were given so far, or
    /// will be given next. For [`HubConnectionBuilder::positions`] of a later process.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`] when the runtime was shut down.
    pub async fn positions(&self) -> Result<Vec<Position>, Error> {
        let (reply, answer) = oneshot::channel();
        self.control(Control::Positions(reply));
        answer.await.map_err(|_| driver_gone())
    }

    /// Answers calls of the server that want a result. At most one such handler per method. Runs beside the other
    /// messages.
    pub fn on_invoke<Args, T, E>(
        &self,
        target: &str,
        handler: impl AsyncHandler<Args, Output = Result<T, E>>,
    ) -> Subscription
    where
        T: Serialize + 'static,
        E: fmt::Display + 'static,
    {
        self.shared.handlers.add(target, Entry::result(handler))
    }

    /// Removes every handler of a method.
    pub fn off(&self, target: &str) {
        self.shared.handlers.remove_all(target);
    }

    /// Calls `handler` on every change of the state, in order with the messages.
    pub fn on_state_change(&self, handler: impl Fn(&StateChange) + Send + Sync + 'static) -> Subscription {
        self.shared.handlers.on_state_change(handler)
    }

    /// Calls `handler` with everything else that happens: attempts to connect, changes of the outbox and of the quality.
    pub fn on_event(&self, handler: impl Fn(&ConnectionEvent) + Send + Sync + 'static) -> Subscription {
        self.shared.handlers.on_event(handler)
    }

    /// What waits in the outbox.
    pub fn outbox(&self) -> OutboxProgress {
        self.shared.status.borrow().outbox
    }

    /// How good the connection is.
    pub fn quality(&self) -> Quality {
        self.shared.status.borrow().quality
    }

    /// What happened since the connection was built, and how it stands.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`] when the runtime was shut down.
    pub async fn metrics(&self) -> Result<Metrics, Error> {
        let (reply, answer) = oneshot::channel();
        self.control(Control::Metrics(reply));
        answer.await.map_err(|_| driver_gone())
    }

    /// Tells the connection what the platform knows: the network is there again, the machine was asleep. Hints are
    /// optional; they make it faster.
    pub fn hint(&self, hint: Hint) {
        self.control(Control::Hint(hint));
    }

    /// The durable calls that the store held when the connection was built, each once. They are sent whether anybody
    /// asks for them or not.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`] when the runtime was shut down.
    pub async fn restored_calls(&self) -> Result<Vec<QueuedCall>, Error> {
        let (reply, answer) = oneshot::channel();
        self.control(Control::Restored(reply));
        let calls = answer.await.map_err(|_| driver_gone())?;
        Ok(calls
            .into_iter()
            .map(|call| QueuedCall::new(self.clone(), call.call, call.target, call.reply))
            .collect())
    }

    /// What was found damaged when the store of the outbox was read, each finding once. Nothing of it was deleted.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`] when the runtime was shut down.
    pub async fn store_reports(&self) -> Result<Vec<StoreReport>, Error> {
        let (reply, answer) = oneshot::channel();
        self.control(Control::StoreReports(reply));
        answer.await.map_err(|_| driver_gone())
    }

    /// Waits until the connection is in that state.
    pub fn wait_for(&self, state: ConnectionState) -> impl Future<Output = ()> + Send + use<> {
        let mut status = self.shared.status.clone();
        async move {
            // An error means that the driver is gone: it left disconnected.
            let _ = status.wait_for(|status| status.state == state).await;
        }
    }

    pub(super) fn next_call(&self) -> CallId {
        CallId(self.shared.next_id.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) fn next_upload(&self) -> UploadId {
        UploadId(self.shared.next_id.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) async fn request(&self, request: Request) -> Result<(), Error> {
        self.shared.requests.send(request).await.map_err(|_| driver_gone())
    }

    /// For what must not wait.
    pub(super) fn control(&self, control: Control) {
        // Without a driver there is nothing left to control.
        let _ = self.shared.control.send(control);
    }
}

/// For the manager.
impl HubConnection {
    /// A handle that shows the manager that it is held.
    pub(super) fn leased(&self, lease: Arc<Lease>) -> Self {
        Self { shared: self.shared.clone(), lease: Some(lease) }
    }

    pub(super) fn lease(&self) -> Option<Arc<Lease>> {
        self.lease.clone()
    }

    pub(super) fn status(&self) -> watch::Receiver<Status> {
        self.shared.status.clone()
    }

    /// Whether there are handlers for messages.
    pub(super) fn is_listening(&self) -> bool {
        self.shared.handlers.is_listening()
    }

    /// As [`start`](Self::start), without keeping the connection alive meanwhile.
    pub(super) fn start_detached(&self) -> impl Future<Output = Result<(), Error>> + Send + use<> {
        let requests = self.shared.requests.clone();
        async move {
            let (reply, answer) = oneshot::channel();
            requests.send(Request::Start(reply)).await.map_err(|_| driver_gone())?;
            answer.await.unwrap_or_else(|_| Err(driver_gone()))
        }
    }

    /// As [`stop`](Self::stop), begun when this returns. What it returns is closed when it is done.
    pub(super) fn begin_stop(&self) -> oneshot::Receiver<()> {
        let (reply, answer) = oneshot::channel();
        self.control(Control::Stop(reply));
        answer
    }
}

impl fmt::Debug for HubConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubConnection").field("state", &self.state()).finish_non_exhaustive()
    }
}

/// The runtime was shut down under the connection.
pub(super) fn driver_gone() -> Error {
    Error::new(ErrorKind::Cancelled, "The connection's runtime was shut down.")
}
