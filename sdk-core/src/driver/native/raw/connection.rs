use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use ::tokio::sync::{mpsc, oneshot};

use super::{FIRST_RESTORED, Listener, OVER};
use crate::client::{
    CallId, CallKind, CallOptions, CallRequest, DeliveryId, Hint, Metrics, Reply, ReplyId, RequestId,
    UploadId,
};
use crate::driver::native::builder::HubConnectionBuilder;
use crate::driver::native::connection::driver_gone;
use crate::driver::native::tokio::{Change, Control, Driver, Outlet, Request};
use crate::protocol::delivery::Position;
use crate::protocol::{Encoding, Payload};
use crate::{Error, ErrorKind};

/// How many calls and items may wait for the connection to take them.
pub const MAX_QUEUED: usize = 65_536;
/// How many bytes they may have together.
pub const MAX_QUEUED_BYTES: usize = 64 << 20;
/// From how many bytes on whoever uploads should wait.
const ENOUGH: usize = 1 << 20;

/// A connection to a hub, made by [`HubConnectionBuilder::build_raw`].
///
/// Nothing of it waits. Calls and items that the connection cannot take at once are queued, up to [`MAX_QUEUED`] and
/// [`MAX_QUEUED_BYTES`]. Dropping it stops the connection.
pub struct RawConnection {
    requests: mpsc::Sender<Request>,
    control: mpsc::UnboundedSender<Control>,
    queued: Arc<Queued>,
    encoding: Encoding,
}

/// A command that waits for its turn behind the ones before it.
pub(in crate::driver::native) enum RawRequest {
    Start(u64),
    Call(CallRequest<Payload>),
    Item(UploadId, Payload),
    EndUpload(UploadId, Option<String>),
}

impl RawRequest {
    /// What it adds to the queue.
    pub(in crate::driver::native) fn byte_len(&self) -> usize {
        match self {
            Self::Call(call) => call.arguments.bytes().len() + call.target.len(),
            Self::Item(_, item) => item.bytes().len(),
            Self::Start(_) | Self::EndUpload(..) => 0,
        }
    }
}

/// What has been queued and not yet been taken.
#[derive(Debug, Default)]
pub(in crate::driver::native) struct Queued {
    bytes: AtomicUsize,
    /// How many were ever queued.
    total: AtomicU64,
    /// Somebody waits for room.
    wanted: AtomicBool,
    is_connected: AtomicBool,
}

impl Queued {
    pub(in crate::driver::native) fn set_connected(&self, is_connected: bool) {
        self.is_connected.store(is_connected, Ordering::Release);
    }

    /// Counts what was taken. True if that makes the room that somebody waits for.
    pub(in crate::driver::native) fn taken(&self, bytes: usize) -> bool {
        let before = self.bytes.fetch_sub(bytes, Ordering::AcqRel);
        before - bytes < ENOUGH && self.wanted.swap(false, Ordering::AcqRel)
    }
}

impl HubConnectionBuilder {
    /// Makes the connection for a binding to another language, not connected yet: `listener` gets everything that happens.
    /// A policy that [waits for nobody](Self::retry_with) is not asked: [`RetryPolicy::custom`](crate::client::RetryPolicy::custom)
    /// comes as [`Notice::Retry`](super::Notice::Retry).
    ///
    /// # Errors
    /// Those of [`build`](Self::build).
    pub fn build_raw(self, listener: impl Listener) -> Result<RawConnection, Error> {
        let (runtime, config, options) = self.prepare()?;
        let (requests, request_queue) = mpsc::channel(MAX_QUEUED);
        let (control, control_queue) = mpsc::unbounded_channel();
        let queued = Arc::new(Queued::default());
        let encoding = config.encoding;
        let _entered = runtime.enter();
        let driver = Driver::new(config, options, Outlet::listener(listener, queued.clone()));
        let ids = Arc::new(AtomicU64::new(FIRST_RESTORED));
        runtime.spawn(driver.run(request_queue, control_queue, ids));
        Ok(RawConnection { requests, control, queued, encoding })
    }
}

impl RawConnection {
    /// The hub protocol.
    pub const fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Connects. `ticket` comes back if that is misuse; see [`NotStarted`](super::Notice::NotStarted).
    ///
    /// # Errors
    /// [`ErrorKind::Overflow`] when too much is queued; [`ErrorKind::Cancelled`] when the runtime was shut down.
    pub fn start(&self, ticket: u64) -> Result<(), Error> {
        self.queue(RawRequest::Start(ticket))
    }

    /// Disconnects, behind what was asked for before; [`Stopped`](super::Notice::Stopped) tells when that is done.
    pub fn stop(&self) {
        self.control(Control::StopBehind(self.queued.total.load(Ordering::Acquire)));
    }

    /// Calls a method. The id, and those of uploads, must be above those of every call before and below [`OVER`].
    ///
    /// True if that was all: a send without options over a connection that is there and takes what it gets is over when it
    /// is made, as it is with the official clients. Else its end comes as [`Completed`](super::Notice::Completed). Should the
    /// connection be lost in that moment, so that such a send comes to nothing, it comes, too, with [`OVER`] in the id.
    ///
    /// # Errors
    /// As [`start`](Self::start), and [`ErrorKind::Misuse`] when the arguments are no list in the encoding of the connection.
    /// That is the end of the call.
    pub fn call(&self, mut call: CallRequest<Payload>) -> Result<bool, Error> {
        self.check(&call.arguments)?;
        if !call.arguments.is_list() {
            return Err(Error::new(ErrorKind::Misuse, "The arguments of a call must be a list."));
        }
        let is_over = call.kind == CallKind::Send
            && call.uploads.is_empty()
            && call.options == CallOptions::default()
            && self.queued.is_connected.load(Ordering::Acquire)
            && self.queued.bytes.load(Ordering::Acquire) < ENOUGH;
        if is_over {
            call.call.0 |= OVER;
        }
        self.queue(RawRequest::Call(call))?;
        Ok(is_over)
    }

    /// Takes a call back.
    pub fn cancel(&self, call: CallId) {
        self.control(Control::Cancel(call));
    }

    /// Uploads an item. False if whoever uploads should wait for [`Room`](super::Notice::Room) before the next one.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub fn upload(&self, upload: UploadId, item: Payload) -> Result<bool, Error> {
        self.check(&item)?;
        self.queue(RawRequest::Item(upload, item))?;
        if self.queued.bytes.load(Ordering::Acquire) < ENOUGH {
            return Ok(true);
        }
        self.queued.wanted.store(true, Ordering::Release);
        // All of it may have been taken meanwhile, by somebody who did not know yet that it matters.
        let is_late = self.queued.bytes.load(Ordering::Acquire) < ENOUGH;
        Ok(is_late && self.queued.wanted.swap(false, Ordering::AcqRel))
    }

    /// Ends an upload, with an error if it failed.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn end_upload(&self, upload: UploadId, error: Option<String>) -> Result<(), Error> {
        self.queue(RawRequest::EndUpload(upload, error))
    }

    /// All handlers of a message have ended, or failed for that reason.
    pub fn handled(&self, delivery: DeliveryId, result: Result<(), String>) {
        self.control(Control::Handled(delivery, result));
    }

    /// Acknowledges the message with that id; see [`HubConnection::acknowledge`](crate::HubConnection::acknowledge).
    pub fn acknowledge(&self, message_id: String) {
        self.control(Control::Acknowledge(message_id));
    }

    /// Refuses the message with that id; see [`HubConnection::nack`](crate::HubConnection::nack).
    pub fn nack(&self, message_id: String, reason: String) {
        self.control(Control::Nack(message_id, reason));
    }

    /// Answers a call of the server.
    ///
    /// # Errors
    /// [`ErrorKind::Misuse`] when the value is not in the encoding of the connection.
    pub fn reply(&self, reply: ReplyId, answer: Reply<Payload>) -> Result<(), Error> {
        if let Reply::Value(value) = &answer {
            self.check(value)?;
        }
        self.control(Control::Reply(reply, answer));
        Ok(())
    }

    /// Answers [`Retry`](super::Notice::Retry): how long to wait, or that there is to be no other attempt.
    pub fn retry_after(&self, request: RequestId, delay: Option<Duration>) {
        self.control(Control::RetryAfter(request, delay));
    }

    /// Tells what the platform knows; see [`HubConnection::hint`](crate::HubConnection::hint).
    pub fn hint(&self, hint: Hint) {
        self.control(Control::Hint(hint));
    }

    /// Changes the address of later connections. The address is not checked.
    pub fn set_url(&self, url: String) {
        self.control(Control::Change(Change::Url(url)));
    }

    /// Changes how long the client is silent at most.
    pub fn set_keep_alive_interval(&self, interval: Duration) {
        self.control(Control::Change(Change::KeepAlive(interval)));
    }

    /// Changes how long the server may be silent.
    pub fn set_server_timeout(&self, timeout: Duration) {
        self.control(Control::Change(Change::ServerTimeout(timeout)));
    }

    /// What happened so far; see [`HubConnection::metrics`](crate::HubConnection::metrics).
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`] when the runtime was shut down.
    pub fn metrics(&self) -> impl Future<Output = Result<Metrics, Error>> + Send + 'static + use<> {
        let (reply, answer) = oneshot::channel();
        self.control(Control::Metrics(reply));
        async { answer.await.map_err(|_| driver_gone()) }
    }

    /// Where the connection stands; see [`HubConnection::positions`](crate::HubConnection::positions).
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`] when the runtime was shut down.
    pub fn positions(&self) -> impl Future<Output = Result<Vec<Position>, Error>> + Send + 'static + use<> {
        let (reply, answer) = oneshot::channel();
        self.control(Control::Positions(reply));
        async { answer.await.map_err(|_| driver_gone()) }
    }

    fn check(&self, payload: &Payload) -> Result<(), Error> {
        if payload.encoding() == self.encoding {
            return Ok(());
        }
        let text = format!("The payload is not in the encoding of the connection, {}.", self.encoding.name());
        Err(Error::new(ErrorKind::Misuse, text))
    }

    fn queue(&self, request: RawRequest) -> Result<(), Error> {
        let bytes = request.byte_len();
        let full = || Error::new(ErrorKind::Overflow, "Too many calls wait for the connection to take them.");
        let before = self.queued.bytes.fetch_add(bytes, Ordering::AcqRel);
        if before > 0 && before.saturating_add(bytes) > MAX_QUEUED_BYTES {
            self.queued.bytes.fetch_sub(bytes, Ordering::AcqRel);
            return Err(full());
        }
        let result = self.requests.try_send(Request::Raw(request));
        match result {
            Ok(()) => {
                self.queued.total.fetch_add(1, Ordering::AcqRel);
                Ok(())
            }
            Err(error) => {
                self.queued.bytes.fetch_sub(bytes, Ordering::AcqRel);
                Err(match error {
                    mpsc::error::TrySendError::Full(_) => full(),
                    mpsc::error::TrySendError::Closed(_) => driver_gone(),
                })
            }
        }
    }

    fn control(&self, control: Control) {
        // Without a driver there is nothing left to control.
        let _ = self.control.send(control);
    }
}

impl fmt::Debug for RawConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawConnection").field("encoding", &self.encoding).finish_non_exhaustive()
    }
}
