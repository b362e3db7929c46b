//! What the handles of a connection ask of its task, and what they see of it without asking.

use std::sync::Arc;
use std::time::Duration;

use ::http::HeaderMap;
use ::tokio::sync::{mpsc, oneshot};
use futures_util::stream::BoxStream;

use super::Connector;
use crate::Error;
use crate::client::{
    CallId, CallOptions, ConnectionState, DeliveryId, Hint, Metrics, OutboxProgress, Quality, Reply, ReplyId,
    RequestId, UploadId,
};
use crate::driver::native::builder::{RetryFunction, TokenFactory};
use crate::driver::native::raw::RawRequest;
use crate::driver::native::store::{OutboxStore, StoreReport};
use crate::protocol::Payload;
use crate::protocol::delivery::Position;

/// What the handle asks for. Bounded: callers wait while the connection cannot keep up.
// Nearly all of them are calls: a box for each would save nothing.
#[allow(clippy::large_enum_variant)]
pub(in crate::driver::native) enum Request {
    Start(oneshot::Sender<Result<(), Error>>),
    Call(NewCall),
    Raw(RawRequest),
}

/// A call and who waits for it.
pub(in crate::driver::native) struct NewCall {
    pub(in crate::driver::native) call: CallId,
    pub(in crate::driver::native) target: String,
    pub(in crate::driver::native) arguments: Payload,
    pub(in crate::driver::native) uploads: Vec<Upload>,
    pub(in crate::driver::native) options: CallOptions,
    pub(in crate::driver::native) reply: CallReply,
    /// Told as soon as the call need not be made again by the caller.
    pub(in crate::driver::native) accepted: Option<oneshot::Sender<Result<(), Error>>>,
}

/// Where the result of a call goes; also how it is made.
pub(in crate::driver::native) enum CallReply {
    Send(oneshot::Sender<Result<(), Error>>),
    Invoke(oneshot::Sender<Result<Option<Payload>, Error>>),
    Stream(oneshot::Sender<mpsc::Receiver<Result<Payload, Error>>>),
}

/// A durable call of an earlier process.
pub(in crate::driver::native) struct RestoredCall {
    pub(in crate::driver::native) call: CallId,
    pub(in crate::driver::native) target: String,
    pub(in crate::driver::native) reply: oneshot::Receiver<Result<Option<Payload>, Error>>,
}

/// What must not wait behind requests. At most one each per stop, call and reply, so the channel is unbounded.
pub(in crate::driver::native) enum Control {
    Stop(oneshot::Sender<()>),
    Cancel(CallId),
    Reply(ReplyId, Reply<Payload>),
    Handled(DeliveryId, Result<(), String>),
    Acknowledge(String),
    Nack(String, String),
    Positions(oneshot::Sender<Vec<Position>>),
    Hint(Hint),
    Metrics(oneshot::Sender<Metrics>),
    Restored(oneshot::Sender<Vec<RestoredCall>>),
    StoreReports(oneshot::Sender<Vec<StoreReport>>),
    /// Stop, as soon as so many requests of a binding were taken.
    StopBehind(u64),
    RetryAfter(RequestId, Option<Duration>),
    Change(Change),
}

/// What may be changed of a connection that is there.
pub(in crate::driver::native) enum Change {
    Url(String),
    KeepAlive(Duration),
    ServerTimeout(Duration),
}

/// A stream to upload.
pub(in crate::driver::native) struct Upload {
    pub(in crate::driver::native) id: UploadId,
    pub(in crate::driver::native) items: BoxStream<'static, Result<Payload, String>>,
}

/// What the handle shows without asking.
#[derive(Clone, Debug, Default)]
pub(in crate::driver::native) struct Status {
    pub(in crate::driver::native) state: ConnectionState,
    pub(in crate::driver::native) connection_id: Option<String>,
    pub(in crate::driver::native) outbox: OutboxProgress,
    pub(in crate::driver::native) quality: Quality,
}

/// What the driver needs besides the core's configuration.
pub(in crate::driver::native) struct Options {
    pub(in crate::driver::native) headers: HeaderMap,
    pub(in crate::driver::native) token_factory: Option<TokenFactory>,
    pub(in crate::driver::native) connector: Arc<dyn Connector>,
    pub(in crate::driver::native) max_message_size: usize,
    pub(in crate::driver::native) stream_buffer: usize,
    pub(in crate::driver::native) retry: Option<RetryFunction>,
    pub(in crate::driver::native) store: Option<Box<dyn OutboxStore>>,
    pub(in crate::driver::native) seed: u64,
}
