use std::fmt;
use std::time::Duration;

use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use super::connection::{HubConnection, driver_gone};
use super::queued::QueuedCall;
use super::stream::ItemStream;
use super::tokio::{CallReply, Control, NewCall, Request, Upload};
use crate::client::{CallId, CallOptions, Priority};
use crate::protocol::{Payload, PayloadError};
use crate::{Error, ErrorKind};

/// A call that is being put together. Made by [`HubConnection::call`].
///
/// ```no_run
/// # async fn example(connection: hubwire::HubConnection) -> Result<(), hubwire::Error> {
/// use futures_util::stream;
///
/// let total: i64 = connection.call("Sum").upload(stream::iter([1, 2, 3])).invoke().await?;
/// # Ok(()) }
/// ```
#[must_use = "a call does nothing until `invoke`, `send` or `stream`"]
pub struct CallBuilder {
    connection: HubConnection,
    target: String,
    arguments: Result<Payload, PayloadError>,
    uploads: Vec<BoxStream<'static, Result<Payload, String>>>,
    options: CallOptions,
}

impl CallBuilder {
    pub(super) fn new(connection: HubConnection, target: &str) -> Self {
        let arguments = Ok(Payload::no_arguments(connection.encoding()));
        Self {
            connection,
            target: target.to_owned(),
            arguments,
            uploads: Vec::new(),
            options: CallOptions::default(),
        }
    }

    /// The arguments, as a tuple; those that are streams are left out.
    pub fn arguments(mut self, arguments: impl Serialize) -> Self {
        self.arguments = Payload::encode_arguments(self.connection.encoding(), &arguments);
        self
    }

    /// The arguments as they travel, for callers that encode by themselves.
    pub fn raw_arguments(mut self, arguments: Payload) -> Self {
        let encoding = self.connection.encoding();
        self.arguments = if arguments.encoding() != encoding {
            Err(PayloadError::new(format!(
                "they are not in the encoding of the connection, {}",
                encoding.name()
            )))
        } else if !arguments.is_list() {
            Err(PayloadError::new("they are not a list"))
        } else {
            Ok(arguments)
        };
        self
    }

    /// The stream for the method's next stream parameter. It is read while the method runs.
    pub fn upload<T: Serialize + 'static>(self, items: impl Stream<Item = T> + Send + 'static) -> Self {
        self.try_upload(items.map(Ok::<_, std::convert::Infallible>))
    }

    /// As [`upload`](Self::upload), for a stream that may fail: the error ends it, with its text, on the server too.
    pub fn try_upload<T: Serialize + 'static, E: fmt::Display + 'static>(
        mut self,
        items: impl Stream<Item = Result<T, E>> + Send + 'static,
    ) -> Self {
        let encoding = self.connection.encoding();
        // For a manager the hub is in use for as long as there is something to upload.
        let lease = self.connection.lease();
        let items = items.map(move |item| {
            let _held = &lease;
            match item {
                Ok(item) => Payload::encode(encoding, &item).map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            }
        });
        self.uploads.push(items.boxed());
        self
    }

    /// The longest time from now to the end of the call, the time in the queue included. Past it the call ends with
    /// [`ErrorKind::Timeout`] and is taken back on the server.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = Some(timeout);
        self
    }

    /// The longest time in the queue: past it the call is not worth sending, and ends with [`ErrorKind::Timeout`].
    pub const fn expires_after(mut self, time: Duration) -> Self {
        self.options.expires_after = Some(time);
        self
    }

    /// Which queued calls leave first; [`Priority::Normal`] unless set.
    pub const fn priority(mut self, priority: Priority) -> Self {
        self.options.priority = priority;
        self
    }

    /// While the call is queued, a later one with this key takes its place, and this one ends with
    /// [`ErrorKind::Cancelled`].
    pub fn supersede_key(mut self, key: &str) -> Self {
        self.options.supersede_key = Some(key.into());
        self
    }

    /// The method may run twice for one call: where the connection is lost before the completion, the call is made
    /// again instead of ending with [`ErrorKind::OutcomeUnknown`]. A send asks for a completion then.
    pub const fn idempotent(mut self) -> Self {
        self.options.idempotent = true;
        self
    }

    /// Keeps the call in the [store](super::HubConnectionBuilder::outbox_store) until the server has completed it, over
    /// the end of this process. Such a call may run twice, as an [`idempotent`](Self::idempotent) one.
    pub const fn durable(mut self) -> Self {
        self.options.durable = true;
        self
    }

    /// Fails at once where there is no connection, instead of waiting for one.
    pub const fn unqueued(mut self) -> Self {
        self.options.queue = false;
        self
    }

    /// Calls the method and waits for its result; see [`HubConnection::invoke`].
    ///
    /// # Errors
    /// Those of [`HubConnection::invoke`].
    pub async fn invoke<T: DeserializeOwned>(self) -> Result<T, Error> {
        let target = self.target.clone();
        let result = self.invoke_raw().await?;
        result.decode().map_err(|error| {
            Error::new(ErrorKind::Protocol, format!("The result of '{target}' is of another type: {error}"))
        })
    }

    /// As [`invoke`](Self::invoke), with the result as it travelled; null when there is none.
    ///
    /// # Errors
    /// Those of [`HubConnection::invoke`].
    pub async fn invoke_raw(self) -> Result<Payload, Error> {
        let connection = self.connection.clone();
        let (reply, answer) = oneshot::channel();
        let call = self.submit(CallReply::Invoke(reply), None).await?;
        let mut guard = CancelOnDrop::new(connection, call);
        let result = answer.await.unwrap_or_else(|_| Err(driver_gone()));
        guard.disarm();
        Ok(result?.unwrap_or_else(|| Payload::null(guard.connection.encoding())))
    }

    /// Calls the method without asking whether it ran; see [`HubConnection::send`].
    ///
    /// # Errors
    /// Those of [`HubConnection::send`].
    pub async fn send(self) -> Result<(), Error> {
        // Kept until the end: the last handle stops the connection.
        let _connection = self.connection.clone();
        let (reply, answer) = oneshot::channel();
        self.submit(CallReply::Send(reply), None).await?;
        answer.await.unwrap_or_else(|_| Err(driver_gone()))
    }

    /// Hands the call over and returns as soon as it is accepted: when it was sent, when it waits for a connection, and
    /// for a [durable](Self::durable) one when the store has it. The end can be had from what is returned.
    ///
    /// # Errors
    /// Why it was not accepted: [`ErrorKind::Overflow`] when the outbox or its store is full, [`ErrorKind::Misuse`] when
    /// the arguments cannot be encoded or the options cannot be had together.
    pub async fn enqueue(self) -> Result<QueuedCall, Error> {
        let connection = self.connection.clone();
        let target = self.target.clone();
        let (reply, result) = oneshot::channel();
        let (accepted, answer) = oneshot::channel();
        let call = self.submit(CallReply::Invoke(reply), Some(accepted)).await?;
        answer.await.unwrap_or_else(|_| Err(driver_gone()))?;
        Ok(QueuedCall::new(connection, call, target, result))
    }

    /// Calls a streaming method; see [`HubConnection::stream`].
    ///
    /// # Errors
    /// Those of [`HubConnection::stream`].
    pub async fn stream<T: DeserializeOwned>(self) -> Result<ItemStream<T>, Error> {
        let connection = self.connection.clone();
        let (items, receiver) = oneshot::channel();
        let call = self.submit(CallReply::Stream(items), None).await?;
        let guard = CancelOnDrop::new(connection, call);
        let receiver = receiver.await.map_err(|_| driver_gone())?;
        Ok(ItemStream::new(receiver, guard))
    }

    async fn submit(
        self,
        reply: CallReply,
        accepted: Option<oneshot::Sender<Result<(), Error>>>,
    ) -> Result<CallId, Error> {
        let arguments = self.arguments.map_err(|error| {
            Error::new(
                ErrorKind::Misuse,
                format!("The arguments of '{}' cannot be encoded: {error}", self.target),
            )
        })?;
        let call = self.connection.next_call();
        let uploads = self
            .uploads
            .into_iter()
            .map(|items| Upload { id: self.connection.next_upload(), items })
            .collect();
        let (target, options) = (self.target, self.options);
        let new = NewCall { call, target, arguments, uploads, options, reply, accepted };
        self.connection.request(Request::Call(new)).await?;
        Ok(call)
    }
}

impl fmt::Debug for CallBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallBuilder").field("target", &self.target).finish_non_exhaustive()
    }
}

/// Takes the call back unless it has ended, and keeps the connection alive meanwhile.
#[derive(Debug)]
pub(super) struct CancelOnDrop {
    connection: HubConnection,
    call: Option<CallId>,
}

impl CancelOnDrop {
    const fn new(connection: HubConnection, call: CallId) -> Self {
        Self { connection, call: Some(call) }
    }

    /// The call has ended: there is nothing to take back.
    pub(super) const fn disarm(&mut self) {
        self.call = None;
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some(call) = self.call.take() {
            self.connection.control(Control::Cancel(call));
        }
    }
}
