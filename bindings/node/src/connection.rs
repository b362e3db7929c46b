//! One connection, as the TypeScript has it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hubwire::client::{
    CallId, CallKind, CallOptions, CallRequest, DeliveryId, Hint, Reply, ReplyId, RequestId, UploadId,
};
use hubwire::protocol::{Encoding, Payload};
use hubwire::raw::{LateStore, RawConnection};
use hubwire::{Error, ErrorKind};
use napi_derive::napi;
use parking_lot::Mutex;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use crate::chunk::Chunk;
use crate::mailbox::{Letters, Mailbox};
use crate::news;
use crate::settings::{Settings, call_options};

/// An error whose `code` is its kind.
pub(crate) type Failure = napi::Error<&'static str>;

pub(crate) fn failed(error: Error) -> Failure {
    napi::Error::new(error.kind().name(), error.detail())
}

/// Whether news of the connection are MessagePack.
pub(crate) const fn is_binary(encoding: Encoding) -> bool {
    matches!(encoding, Encoding::MessagePack)
}

fn misuse(text: impl Into<String>) -> Failure {
    failed(Error::new(ErrorKind::Misuse, text.into()))
}

/// An access token, none, or why there is none.
type Token = Result<Option<String>, String>;

/// Tokens that JavaScript was asked for.
#[derive(Debug, Default)]
struct Tokens {
    last: AtomicU64,
    waiting: Mutex<HashMap<u64, oneshot::Sender<Token>>>,
}

/// Ids of JavaScript: whole numbers that a double holds.
fn id(number: f64) -> u64 {
    // Out of range it saturates: such an id is nobody's.
    number as u64
}

/// What the TypeScript has just encoded.
fn json(text: String) -> Payload {
    Payload::from_encoder(Encoding::Json, text.into_bytes().into())
}

/// What the TypeScript has just encoded.
fn message_pack(bytes: &[u8]) -> Payload {
    Payload::from_encoder(Encoding::MessagePack, Bytes::copy_from_slice(bytes))
}

/// A connection to a hub.
#[napi]
#[derive(Debug)]
pub struct Connection {
    runtime: &'static Runtime,
    raw: Option<RawConnection>,
    encoding: Encoding,
    mailbox: Arc<Mailbox>,
    number: u32,
    tokens: Arc<Tokens>,
}

impl Connection {
    pub(crate) fn open(
        runtime: &'static Runtime,
        settings: Settings,
        encoding: Encoding,
        letters: Letters,
    ) -> Result<Self, Failure> {
        let (mailbox, number, is_binary) = (letters.mailbox.clone(), letters.connection, letters.is_binary);
        let tokens = Arc::<Tokens>::default();
        let (has_token_factory, store) = (settings.has_token_factory, settings.store.clone());
        let mut builder = settings.builder().map_err(failed)?;
        if has_token_factory {
            let (asked, mailbox) = (tokens.clone(), mailbox.clone());
            builder = builder.access_token_factory(move || {
                let (sender, answer) = oneshot::channel();
                let question = asked.last.fetch_add(1, Ordering::Relaxed);
                asked.waiting.lock().insert(question, sender);
                mailbox.put(is_binary, |chunk| news::plain(chunk, number, "token", question));
                mailbox.flush();
                async { answer.await.unwrap_or_else(|_| Err("The connection was disposed of.".to_owned())) }
            });
        }
        if let Some(path) = store {
            builder = builder.outbox_store(LateStore::new(path));
        }
        let _entered = runtime.enter();
        let raw = builder.build_raw(letters).map_err(failed)?;
        Ok(Self { runtime, raw: Some(raw), encoding, mailbox, number, tokens })
    }

    fn raw(&self) -> Result<&RawConnection, Failure> {
        self.raw.as_ref().ok_or_else(|| misuse("The connection was disposed of."))
    }

    /// Writes what the connection says, as soon as it does.
    fn answer<T: 'static>(
        &self,
        asked: impl Future<Output = Result<T, Error>> + Send + 'static,
        write: impl FnOnce(&mut Chunk, u32, T) + Send + 'static,
    ) {
        let (mailbox, number, is_binary) = (self.mailbox.clone(), self.number, is_binary(self.encoding));
        self.runtime.spawn(async move {
            if let Ok(answer) = asked.await {
                mailbox.put(is_binary, |chunk| write(chunk, number, answer));
                mailbox.flush();
            }
        });
    }

    fn make(
        &self,
        call: f64,
        kind: u32,
        target: String,
        arguments: Payload,
        uploads: Option<Vec<f64>>,
        options: Option<String>,
    ) -> Result<bool, Failure> {
        let kind = match kind {
            0 => CallKind::Send,
            1 => CallKind::Invoke,
            _ => CallKind::Stream,
        };
        let options = match options {
            Some(options) => call_options(&options).map_err(failed)?,
            None => CallOptions::default(),
        };
        let uploads = uploads.into_iter().flatten().map(|upload| UploadId(id(upload))).collect();
        let mut request = CallRequest::new(CallId(id(call)), kind, target, arguments);
        (request.uploads, request.options) = (uploads, options);
        self.raw()?.call(request).map_err(failed)
    }
}

#[napi]
impl Connection {
    /// The number with which news of it begin.
    #[napi(getter)]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Connects; the ticket comes back with what makes it impossible.
    #[napi]
    pub fn start(&self, ticket: f64) -> Result<(), Failure> {
        self.raw()?.start(id(ticket)).map_err(failed)
    }

    /// Disconnects.
    #[napi]
    pub fn stop(&self) -> Result<(), Failure> {
        self.raw()?.stop();
        Ok(())
    }

    /// Makes a call, with arguments as JSON. True if that was all that there is to say of it.
    #[napi]
    pub fn call_text(
        &self,
        call: f64,
        kind: u32,
        target: String,
        arguments: String,
        uploads: Option<Vec<f64>>,
        options: Option<String>,
    ) -> Result<bool, Failure> {
        self.make(call, kind, target, json(arguments), uploads, options)
    }

    /// Makes a call, with arguments as MessagePack. True if that was all that there is to say of it.
    #[napi]
    pub fn call_bytes(
        &self,
        call: f64,
        kind: u32,
        target: String,
        arguments: &[u8],
        uploads: Option<Vec<f64>>,
        options: Option<String>,
    ) -> Result<bool, Failure> {
        self.make(call, kind, target, message_pack(arguments), uploads, options)
    }

    /// Takes a call back; below zero are those of the store.
    #[napi]
    pub fn cancel(&self, call: f64) -> Result<(), Failure> {
        let restored = |index: f64| hubwire::raw::FIRST_RESTORED + id(index);
        let call = if call < 0.0 { restored(-1.0 - call) } else { id(call) };
        self.raw()?.cancel(CallId(call));
        Ok(())
    }

    /// Uploads an item as JSON; false when the next one should wait for room.
    #[napi]
    pub fn upload_text(&self, upload: f64, item: String) -> Result<bool, Failure> {
        self.raw()?.upload(UploadId(id(upload)), json(item)).map_err(failed)
    }

    /// Uploads an item as MessagePack; false when the next one should wait for room.
    #[napi]
    pub fn upload_bytes(&self, upload: f64, item: &[u8]) -> Result<bool, Failure> {
        self.raw()?.upload(UploadId(id(upload)), message_pack(item)).map_err(failed)
    }

    /// Ends an upload.
    #[napi]
    pub fn end_upload(&self, upload: f64, error: Option<String>) -> Result<(), Failure> {
        self.raw()?.end_upload(UploadId(id(upload)), error).map_err(failed)
    }

    /// All handlers of a message have ended, or one has failed.
    #[napi]
    pub fn handled(&self, delivery: f64, reason: Option<String>) -> Result<(), Failure> {
        self.raw()?.handled(DeliveryId::from_raw(id(delivery)), reason.map_or(Ok(()), Err));
        Ok(())
    }

    /// Acknowledges a message.
    #[napi]
    pub fn acknowledge(&self, message_id: String) -> Result<(), Failure> {
        self.raw()?.acknowledge(message_id);
        Ok(())
    }

    /// Refuses a message.
    #[napi]
    pub fn nack(&self, message_id: String, reason: String) -> Result<(), Failure> {
        self.raw()?.nack(message_id, reason);
        Ok(())
    }

    /// Answers a call of the server with a value as JSON.
    #[napi]
    pub fn reply_text(&self, reply: f64, value: String) -> Result<(), Failure> {
        let value = Reply::Value(json(value));
        self.raw()?.reply(ReplyId::from_raw(id(reply)), value).map_err(failed)
    }

    /// Answers a call of the server with a value as MessagePack.
    #[napi]
    pub fn reply_bytes(&self, reply: f64, value: &[u8]) -> Result<(), Failure> {
        let value = Reply::Value(message_pack(value));
        self.raw()?.reply(ReplyId::from_raw(id(reply)), value).map_err(failed)
    }

    /// Answers a call of the server without a value: 0 nothing, 1 an error, 2 no handler, 3 more than one.
    #[napi]
    pub fn reply_without(&self, reply: f64, kind: u32, error: Option<String>) -> Result<(), Failure> {
        let answer = match kind {
            0 => Reply::Void,
            1 => Reply::Error(error.unwrap_or_default()),
            2 => Reply::NoHandler,
            _ => Reply::ManyHandlers,
        };
        self.raw()?.reply(ReplyId::from_raw(id(reply)), answer).map_err(failed)
    }

    /// Answers the question when to try again: after so many milliseconds, or never.
    #[napi]
    pub fn retry_after(&self, request: f64, delay: Option<f64>) -> Result<(), Failure> {
        let delay = delay.map(|delay| Duration::try_from_secs_f64(delay / 1_000.0).unwrap_or_default());
        self.raw()?.retry_after(RequestId::from_raw(id(request)), delay);
        Ok(())
    }

    /// Answers the question for a token.
    #[napi]
    pub fn token(&self, question: f64, token: Option<String>, error: Option<String>) {
        let asked = self.tokens.waiting.lock().remove(&id(question));
        if let Some(asked) = asked {
            // Whoever asked may have given up.
            let _ = asked.send(error.map_or(Ok(token), Err));
        }
    }

    /// What the platform knows, by its place in the list of hints.
    #[napi]
    pub fn hint(&self, hint: u32) -> Result<(), Failure> {
        let hints = [Hint::Online, Hint::Offline, Hint::Resumed, Hint::Foreground, Hint::Background];
        if let Some(hint) = hints.get(hint as usize) {
            self.raw()?.hint(*hint);
        }
        Ok(())
    }

    /// Asks for the metrics; the answer is news.
    #[napi]
    pub fn metrics(&self, question: f64) -> Result<(), Failure> {
        self.answer(self.raw()?.metrics(), move |chunk, number, metrics| {
            news::metrics(chunk, number, id(question), &metrics);
        });
        Ok(())
    }

    /// Asks for the positions; the answer is news.
    #[napi]
    pub fn positions(&self, question: f64) -> Result<(), Failure> {
        self.answer(self.raw()?.positions(), move |chunk, number, positions| {
            let texts: Vec<String> = positions.iter().map(ToString::to_string).collect();
            news::positions(chunk, number, id(question), &texts);
        });
        Ok(())
    }

    /// Changes the address or a time, in milliseconds, of later connections.
    #[napi]
    pub fn configure(
        &self,
        url: Option<String>,
        keep_alive_interval: Option<f64>,
        server_timeout: Option<f64>,
    ) -> Result<(), Failure> {
        let raw = self.raw()?;
        let time = |millis: f64| {
            let time = Duration::try_from_secs_f64(millis / 1_000.0).ok().filter(|time| !time.is_zero());
            time.ok_or_else(|| misuse(format!("{millis} is no time in milliseconds.")))
        };
        if let Some(url) = url {
            raw.set_url(url);
        }
        if let Some(interval) = keep_alive_interval {
            raw.set_keep_alive_interval(time(interval)?);
        }
        if let Some(timeout) = server_timeout {
            raw.set_server_timeout(time(timeout)?);
        }
        Ok(())
    }

    /// Lets go of everything.
    #[napi]
    pub fn dispose(&mut self) {
        self.raw = None;
        self.tokens.waiting.lock().clear();
    }
}
