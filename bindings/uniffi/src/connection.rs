//! One connection, as the foreign side has it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hubwire::client::{CallId, CallOptions, CallRequest, DeliveryId, Reply, ReplyId, RequestId, UploadId};
use hubwire::protocol::Payload;
use hubwire::raw::{LateStore, RawConnection};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::failure::HubFailure;
use crate::inbox::Inbox;
use crate::letters::{Letters, Shared};
use crate::notice::Notice;
use crate::settings::{CallSettings, Settings, time};
use crate::transcode::from_json;
use crate::values::{CallKind, Encoding, Hint, Metrics};

/// A year in milliseconds: as long as timers take, and longer than anybody waits.
const LONGEST_DELAY: f64 = 365.0 * 24.0 * 3_600_000.0;

/// An access token, none, or why there is none.
type Token = Result<Option<String>, String>;

/// Tokens that were asked for.
#[derive(Debug, Default)]
struct Tokens {
    last: AtomicU64,
    waiting: Mutex<HashMap<u64, oneshot::Sender<Token>>>,
}

/// A connection to a hub. It ends when it is let go, in order; everything it was asked to send before is sent.
#[derive(Debug, uniffi::Object)]
pub struct Connection {
    raw: Arc<RawConnection>,
    number: u64,
    shared: Arc<Shared>,
    tokens: Arc<Tokens>,
    last_ticket: AtomicU64,
}

impl Connection {
    /// Opens one that has joined the inbox; it leaves it when this fails.
    pub(crate) fn open(
        number: u64,
        settings: Settings,
        handle: &Handle,
        inbox: &Arc<Inbox>,
    ) -> Result<Arc<Self>, HubFailure> {
        let (shared, tokens) = (Arc::<Shared>::default(), Arc::<Tokens>::default());
        // Leaves the inbox when it is dropped, however this ends.
        let letters = Letters::new(inbox.clone(), shared.clone(), number);
        let (has_token_factory, store) = (settings.has_token_factory, settings.store.clone());
        let mut builder = settings.builder()?;
        if has_token_factory {
            let (asked, inbox) = (tokens.clone(), inbox.clone());
            builder = builder.access_token_factory(move || {
                let (sender, answer) = oneshot::channel();
                let question = asked.last.fetch_add(1, Ordering::Relaxed);
                asked.waiting.lock().insert(question, sender);
                inbox.put(number, vec![Notice::Token { question }]);
                async { answer.await.unwrap_or_else(|_| Err("The connection was let go.".to_owned())) }
            });
        }
        if let Some(path) = store {
            builder = builder.outbox_store(LateStore::new(path));
        }
        let _entered = handle.enter();
        let raw = Arc::new(builder.build_raw(letters)?);
        // Nobody else sets it.
        let _ = shared.raw.set(Arc::downgrade(&raw));
        Ok(Arc::new(Self { raw, number, shared, tokens, last_ticket: AtomicU64::new(0) }))
    }

    fn encoding(&self) -> hubwire::protocol::Encoding {
        self.raw.encoding()
    }

    /// What the foreign side has just encoded.
    fn payload(&self, json: Vec<u8>) -> Result<Payload, HubFailure> {
        from_json(self.encoding(), Bytes::from(json))
            .map_err(|error| HubFailure::misuse(format!("The value cannot be sent: {error}")))
    }

    fn ticket(&self) -> u64 {
        self.last_ticket.fetch_add(1, Ordering::Relaxed) + 1
    }
}

#[uniffi::export]
impl Connection {
    /// The number that its notices come under.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// How messages travel.
    pub fn protocol(&self) -> Encoding {
        self.encoding().into()
    }

    /// Connects. Its end comes as `Notice::Started` with that ticket.
    ///
    /// # Errors
    /// Overflow when too much is queued; cancelled when the connection has ended.
    pub fn start(&self) -> Result<u64, HubFailure> {
        let ticket = self.ticket();
        let mut waiting = self.shared.waiting.lock();
        // Under the lock: they begin in the order in which they were asked for.
        self.raw.start(ticket)?;
        waiting.starts.push_back(ticket);
        Ok(ticket)
    }

    /// Disconnects, behind what was asked for before. Its end comes as `Notice::Stopped` with that ticket.
    pub fn stop(&self) -> u64 {
        let ticket = self.ticket();
        let mut waiting = self.shared.waiting.lock();
        waiting.stops.push_back(ticket);
        // Under the lock: stops end in the order in which they were asked for.
        self.raw.stop();
        ticket
    }

    /// Calls a method, with arguments as a JSON list. Ids are the caller's: from 1, each above those before, uploads included.
    /// True if that was all: a send without settings over a connection that is there has no other end.
    ///
    /// # Errors
    /// Overflow when too much is queued; misuse when arguments or settings are not possible. That is the end of the call.
    pub fn call(
        &self,
        call: u64,
        kind: CallKind,
        target: String,
        arguments: Vec<u8>,
        uploads: Vec<u64>,
        settings: Option<CallSettings>,
    ) -> Result<bool, HubFailure> {
        // The end of a stream is no one thing to wait for: its items are held back as messages are.
        let has_end = kind != CallKind::Stream;
        let mut request = CallRequest::new(CallId(call), kind.into(), target, self.payload(arguments)?);
        request.uploads = uploads.into_iter().map(UploadId).collect();
        request.options = settings.map_or(Ok(CallOptions::default()), CallSettings::options)?;
        if has_end {
            self.shared.begin_call(call);
        }
        let made = self.raw.call(request);
        if !matches!(made, Ok(false)) {
            self.shared.end_call(call);
        }
        Ok(made?)
    }

    /// As [`call`](Self::call), without uploads and settings, which is what most calls are: everything that has to be copied
    /// comes in one piece, as each costs a crossing of its own. `request` is the target in UTF-8, of `target_bytes` bytes, and
    /// behind it the arguments. `kind` is 0 to send, 1 to invoke and 2 to stream.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub fn call_plain(
        &self,
        call: u64,
        kind: u8,
        target_bytes: u32,
        mut request: Vec<u8>,
    ) -> Result<bool, HubFailure> {
        let wrong = |what: &str| HubFailure::misuse(format!("The call cannot be made: {what}."));
        let kind = match kind {
            0 => CallKind::Send,
            1 => CallKind::Invoke,
            2 => CallKind::Stream,
            _ => return Err(wrong("there is no such kind")),
        };
        let length = usize::try_from(target_bytes).unwrap_or(usize::MAX);
        if length > request.len() {
            return Err(wrong("the target is longer than the request"));
        }
        let arguments = request.split_off(length);
        let target = String::from_utf8(request).map_err(|_| wrong("the target is not UTF-8"))?;
        self.call(call, kind, target, arguments, Vec::new(), None)
    }

    /// Takes a call back.
    pub fn cancel(&self, call: u64) {
        self.raw.cancel(CallId(call));
    }

    /// Uploads an item; false if the next one should wait for `Notice::Room`.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub fn upload(&self, upload: u64, item: Vec<u8>) -> Result<bool, HubFailure> {
        Ok(self.raw.upload(UploadId(upload), self.payload(item)?)?)
    }

    /// Ends an upload, with an error if it failed.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn end_upload(&self, upload: u64, error: Option<String>) -> Result<(), HubFailure> {
        Ok(self.raw.end_upload(UploadId(upload), error)?)
    }

    /// All handlers of a message have ended, or one has failed for that reason.
    pub fn handled(&self, delivery: u64, reason: Option<String>) {
        self.raw.handled(DeliveryId::from_raw(delivery), reason.map_or(Ok(()), Err));
    }

    /// Messages and items of that cost are out of the way.
    pub fn release(&self, cost: u64) {
        self.shared.release(usize::try_from(cost).unwrap_or(usize::MAX));
    }

    /// Acknowledges the message with that id.
    pub fn acknowledge(&self, message_id: String) {
        self.raw.acknowledge(message_id);
    }

    /// Refuses the message with that id.
    pub fn nack(&self, message_id: String, reason: String) {
        self.raw.nack(message_id, reason);
    }

    /// Answers a call of the server with a value as JSON.
    ///
    /// # Errors
    /// Misuse when it cannot be sent; the call is still to be answered.
    pub fn reply(&self, reply: u64, value: Vec<u8>) -> Result<(), HubFailure> {
        let value = self.payload(value)?;
        Ok(self.raw.reply(ReplyId::from_raw(reply), Reply::Value(value))?)
    }

    /// Answers a call of the server with an error.
    pub fn reply_error(&self, reply: u64, error: String) {
        // Without a payload there is nothing to be wrong.
        let _ = self.raw.reply(ReplyId::from_raw(reply), Reply::Error(error));
    }

    /// Answers a call of the server that no handler has a result for.
    pub fn reply_none(&self, reply: u64) {
        let _ = self.raw.reply(ReplyId::from_raw(reply), Reply::NoHandler);
    }

    /// Answers the question when to try again: after so many milliseconds, a year at most, or never.
    pub fn retry_after(&self, request: u64, delay: Option<f64>) {
        let delay = delay.map(|delay| {
            // What is no number is none to wait for.
            let millis = if delay.is_nan() { 0.0 } else { delay.clamp(0.0, LONGEST_DELAY) };
            Duration::from_secs_f64(millis / 1_000.0)
        });
        self.raw.retry_after(RequestId::from_raw(request), delay);
    }

    /// Answers the question for a token.
    pub fn token(&self, question: u64, token: Option<String>, error: Option<String>) {
        let asked = self.tokens.waiting.lock().remove(&question);
        if let Some(asked) = asked {
            // Whoever asked may have given up.
            let _ = asked.send(error.map_or(Ok(token), Err));
        }
    }

    /// Tells what the platform knows.
    pub fn hint(&self, hint: Hint) {
        self.raw.hint(hint.into());
    }

    /// What happened so far.
    ///
    /// # Errors
    /// Cancelled when the connection has ended.
    pub async fn metrics(&self) -> Result<Metrics, HubFailure> {
        Ok(self.raw.metrics().await?.into())
    }

    /// Where the connection stands in streams with history.
    ///
    /// # Errors
    /// Cancelled when the connection has ended.
    pub async fn positions(&self) -> Result<Vec<String>, HubFailure> {
        Ok(self.raw.positions().await?.iter().map(ToString::to_string).collect())
    }

    /// Changes the address or a time, in milliseconds, of later connections.
    ///
    /// # Errors
    /// Misuse when a time is none.
    pub fn configure(
        &self,
        url: Option<String>,
        keep_alive_interval: Option<f64>,
        server_timeout: Option<f64>,
    ) -> Result<(), HubFailure> {
        let positive = |name: &str, millis: f64| {
            let time = time(name, millis)?;
            if time.is_zero() {
                return Err(HubFailure::misuse(format!("The option '{name}' must be longer than zero.")));
            }
            Ok(time)
        };
        let interval = keep_alive_interval.map(|millis| positive("keepAliveInterval", millis)).transpose()?;
        let timeout = server_timeout.map(|millis| positive("serverTimeout", millis)).transpose()?;
        if let Some(url) = url {
            self.raw.set_url(url);
        }
        if let Some(interval) = interval {
            self.raw.set_keep_alive_interval(interval);
        }
        if let Some(timeout) = timeout {
            self.raw.set_server_timeout(timeout);
        }
        Ok(())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Nobody is left to answer.
        self.tokens.waiting.lock().clear();
    }
}
