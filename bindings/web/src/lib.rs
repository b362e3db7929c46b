//! The browser binding: what JavaScript sees of the client core. Internal to the npm package `@hubwire/web`, whose
//! TypeScript is the API.
//!
//! Nothing here decides anything: each method converts what it is given, calls the driver once, and converts back. Times
//! come in as milliseconds of the Unix epoch, ids and counts as doubles.
#![cfg(target_arch = "wasm32")]
#![no_std]

extern crate alloc;

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use hubwire::client::{
    CallId, CallKind, CallRequest, Command, ConnectionState, DeliveryId, Hint, Input, Misuse, Reply, ReplyId,
    RequestFailure, RequestId, UploadId,
};
use hubwire::protocol::{
    AvailableTransport, Call, CancelInvocation, Close, Completion, Extensions, Feature, HandshakeResponse,
    Headers, HubMessage, Invocation, NegotiateResponse, Negotiated, Outcome, ProtocolError, Redirect,
    StreamInvocation, StreamItem, TransferFormats, Transport,
};
use hubwire::web::{Driver, Handle, Host, call_options, config, strings};
use hubwire::{ByteString, Error, ErrorKind, Time};
use js_sys::Array;
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};

/// Small code. Memory that is grown is one piece with what was there, so that large blocks do not leave holes.
struct Small;

impl rlsf::GlobalTlsfOptions for Small {
    const ENABLE_REALLOCATION: bool = false;
    const COALESCE_POOLS: bool = true;
}

#[global_allocator]
static ALLOCATOR: rlsf::GlobalTlsf<Small> = rlsf::GlobalTlsf::new();

/// A trap: JavaScript sees it as a `WebAssembly.RuntimeError`. Texts would be a third of the module.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

/// A double that is a time or an id: whole, and not negative.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
const fn whole(number: f64) -> u64 {
    number as u64
}

/// A double that is a slot, a size, or a number of a link or of a request.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
const fn small(number: f64) -> u32 {
    number as u32
}

/// Below zero there is none.
fn optional(number: f64) -> Option<u64> {
    (number >= 0.0).then(|| whole(number))
}

const fn time(now: f64) -> Time {
    Time::from_millis(whole(now))
}

fn misuse(misuse: Misuse) -> JsValue {
    JsValue::from_str(&misuse.text())
}

fn texts(list: Option<Array>) -> Vec<ByteString> {
    list.map(|list| strings(&list)).unwrap_or_default()
}

fn headers(flat: Option<Array>) -> Headers {
    let mut texts = texts(flat).into_iter();
    let mut headers = Headers::new();
    while let (Some(name), Some(value)) = (texts.next(), texts.next()) {
        headers.push((name, value));
    }
    headers
}

/// An answer without a value: 0 nothing, 1 an error, 2 no handler, 3 many handlers.
fn reply(kind: f64, error: Option<String>) -> Reply<Handle> {
    match small(kind) {
        1 => Reply::Error(error.unwrap_or_default()),
        2 => Reply::NoHandler,
        3 => Reply::ManyHandlers,
        _ => Reply::Void,
    }
}

/// What the platform knows: 0 online, 1 offline, 2 awake again, 3 in front of the user, 4 not.
const fn hint(hint: f64) -> Hint {
    match small(hint) {
        0 => Hint::Online,
        1 => Hint::Offline,
        2 => Hint::Resumed,
        3 => Hint::Foreground,
        _ => Hint::Background,
    }
}

/// A message other than a call, by its type.
fn message(kind: u8, b: f64, c: f64, text: Option<String>, other: Option<String>) -> HubMessage<Handle> {
    let id = text.map(ByteString::from).unwrap_or_default();
    match kind {
        ITEM => {
            let item = Handle::new(small(b), small(c));
            HubMessage::StreamItem(StreamItem { headers: Headers::new(), invocation_id: id, item })
        }
        COMPLETION => {
            let outcome = match other {
                Some(error) => Outcome::Error(error.into()),
                None if small(b) == 0 => Outcome::Void,
                None => Outcome::Value(Handle::new(small(b), small(c))),
            };
            HubMessage::Completion(Completion::new(id, outcome))
        }
        CANCELLED => HubMessage::CancelInvocation(CancelInvocation::new(id)),
        CLOSE => HubMessage::Close(Close {
            error: other.map(ByteString::from),
            allow_reconnect: b != 0.0,
            retry_after: optional(c).map(Duration::from_millis),
        }),
        ACK => HubMessage::Ack { sequence_id: whole(b) },
        SEQUENCE => HubMessage::Sequence { sequence_id: whole(b) },
        _ => HubMessage::Ping,
    }
}

// The kinds of `Connection::input`, as in `inputs.ts`. Those of messages are their types.
const ITEM: u8 = 2;
const COMPLETION: u8 = 3;
const CANCELLED: u8 = 5;
const CLOSE: u8 = 7;
const ACK: u8 = 8;
const SEQUENCE: u8 = 9;
const STOP: u8 = 10;
const CANCEL: u8 = 11;
const UPLOAD: u8 = 12;
const END_UPLOAD: u8 = 13;
const HANDLED: u8 = 14;
const ACKNOWLEDGE: u8 = 15;
const NACK: u8 = 16;
const REPLY: u8 = 17;
const REPLY_VALUE: u8 = 18;
const TICK: u8 = 19;
const OPENED: u8 = 20;
const CLOSED: u8 = 21;
const REDIRECTED: u8 = 22;
const REFUSED: u8 = 23;
const ANSWERED: u8 = 24;
const FAILED: u8 = 25;
const STORED: u8 = 26;
const HANDSHAKEN: u8 = 27;
const MALFORMED: u8 = 28;
const HINT: u8 = 29;
const TOKEN: u8 = 30;
const RETRY_AFTER: u8 = 31;
const DISPOSE: u8 = 32;

/// A request that failed; status 0 is no answer at all.
fn failure(status: u16, text: String, retry_after: f64) -> RequestFailure {
    if status == 0 {
        return RequestFailure::Network(text);
    }
    let retry_after = (retry_after >= 0.0).then(|| Duration::from_millis(whole(retry_after)));
    RequestFailure::Status { code: status, text, retry_after }
}

/// One connection of the core.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Connection(Driver);

#[wasm_bindgen]
impl Connection {
    /// A connection with those settings. The seed must be another one for every connection.
    #[wasm_bindgen(constructor)]
    pub fn new(settings: &JsValue, seed: f64, host: Host) -> Self {
        Self(Driver::new(config(settings), whole(seed), host))
    }

    // Commands.

    /// Connects.
    pub fn start(&mut self, now: f64) -> Result<(), JsValue> {
        self.0.command(time(now), Command::Start).map_err(misuse)
    }

    /// Anything that is some numbers and two texts; `inputs.ts` names the kinds and says what the others are.
    #[allow(clippy::too_many_arguments)]
    pub fn input(
        &mut self,
        kind: u8,
        now: f64,
        a: f64,
        b: f64,
        c: f64,
        text: Option<String>,
        other: Option<String>,
    ) {
        let (now, id) = (time(now), whole(a));
        let (link, request) = (small(a), small(a));
        let is_set = c != 0.0;
        let command = match kind {
            STOP => Command::Stop,
            CANCEL => Command::Cancel(CallId(id)),
            UPLOAD => Command::Item { upload: UploadId(id), item: Handle::new(small(b), small(c)) },
            END_UPLOAD => Command::EndUpload { upload: UploadId(id), error: text },
            HANDLED => Command::Handled(DeliveryId::from_raw(id), text.map_or(Ok(()), Err)),
            ACKNOWLEDGE => Command::Acknowledge(text.unwrap_or_default()),
            NACK => Command::Nack(text.unwrap_or_default(), other.unwrap_or_default()),
            REPLY => Command::Reply(ReplyId::from_raw(id), reply(b, text)),
            REPLY_VALUE => {
                Command::Reply(ReplyId::from_raw(id), Reply::Value(Handle::new(small(b), small(c))))
            }
            TICK => return self.0.tick(now),
            OPENED => return self.0.opened(now, link),
            CLOSED => {
                let reason = text.unwrap_or_default();
                let result = match small(b) {
                    0 => Ok(()),
                    1 => Err(RequestFailure::Network(reason)),
                    code => Err(RequestFailure::Closed { code: code as u16, reason }),
                };
                return self.0.closed(now, link, result);
            }
            REDIRECTED => {
                let redirect = Redirect { url: text.unwrap_or_default(), access_token: other };
                return self.0.negotiated(now, request, Ok(NegotiateResponse::Redirect(redirect)));
            }
            REFUSED => {
                let text = text.unwrap_or_default();
                let response = match is_set {
                    true => Err(RequestFailure::Protocol(ProtocolError::Negotiate(text.into()))),
                    false => Ok(NegotiateResponse::Refused(text)),
                };
                return self.0.negotiated(now, request, response);
            }
            ANSWERED => return self.0.answered(now, request, optional(b), is_set),
            FAILED => {
                return self.0.failed(now, request, failure(small(b) as u16, text.unwrap_or_default(), c));
            }
            STORED => {
                let result = text.map_or(Ok(()), |text| Err(Error::new(ErrorKind::Overflow, text)));
                return self.0.stored(now, id, result);
            }
            HANDSHAKEN => {
                let response = match text {
                    Some(text) if is_set => Err(ProtocolError::Handshake(text.into())),
                    error => Ok(HandshakeResponse { error }),
                };
                return self.0.handshaken(now, link, response);
            }
            MALFORMED => {
                let error = match whole(b) {
                    0 => ProtocolError::Reported(text.unwrap_or_default()),
                    limit => ProtocolError::TooLarge { limit: usize::try_from(limit).unwrap_or(usize::MAX) },
                };
                return self.0.malformed(now, link, error);
            }
            HINT => return self.give(now, Input::Hint(hint(b))),
            TOKEN => {
                let token = other.map_or(Ok(text), Err);
                return self.give(now, Input::Token(RequestId::from_raw(id), token));
            }
            RETRY_AFTER => {
                let delay = optional(b).map(Duration::from_millis);
                return self.give(now, Input::RetryAfter(RequestId::from_raw(id), delay));
            }
            DISPOSE => return self.0.dispose(),
            _ => return self.0.received(now, link, message(kind, b, c, text, other)),
        };
        self.give(now, Input::Command(command));
    }

    /// How it stands, in the bits of `Status` in `inputs.ts`.
    pub fn status(&self, link: u32) -> u32 {
        let reads = self.0.reads(link);
        u32::from(self.0.state() == ConnectionState::Disconnected)
            | u32::from(self.0.wants_calls()) << 1
            | u32::from(reads == Some(true)) << 2
            | u32::from(reads == Some(false)) << 3
    }

    /// Makes a call: 0 to send, 1 to invoke, 2 for a stream.
    #[allow(clippy::too_many_arguments)]
    pub fn call(
        &mut self,
        now: f64,
        call: f64,
        kind: u8,
        target: String,
        slot: u32,
        size: u32,
        uploads: Option<Array>,
        options: &JsValue,
    ) -> Result<(), JsValue> {
        let kind = match kind {
            0 => CallKind::Send,
            1 => CallKind::Invoke,
            _ => CallKind::Stream,
        };
        let mut request = CallRequest::new(CallId(whole(call)), kind, target, Handle::new(slot, size));
        if let Some(uploads) = uploads {
            for index in 0..uploads.length() {
                if let Some(id) = uploads.get(index).as_f64() {
                    request.uploads.push(UploadId(whole(id)));
                }
            }
        }
        request.options = call_options(options);
        self.0.command(time(now), Command::Call(request)).map_err(misuse)
    }

    /// Changes the address, and two times in milliseconds, of later connections.
    pub fn configure(&mut self, url: Option<String>, keep_alive: Option<f64>, server_timeout: Option<f64>) {
        let duration = |millis: f64| Duration::from_millis(whole(millis));
        self.0.reconfigure(|client| {
            if let Some(url) = url {
                client.set_url(url);
            }
            if let Some(interval) = keep_alive {
                client.set_keep_alive_interval(duration(interval));
            }
            if let Some(timeout) = server_timeout {
                client.set_server_timeout(duration(timeout));
            }
        });
    }

    /// How it stands: numbers, in the order of `metrics.ts`.
    pub fn metrics(&self) -> Array {
        self.0.metrics_numbers()
    }

    /// Where it stands in streams with history.
    pub fn positions(&self) -> Array {
        let array = Array::new();
        for position in self.0.positions() {
            array.push(&JsValue::from_str(&position.to_text()));
        }
        array
    }

    /// A negotiate response: its fields, what the server offers (names, and bits: 1 text, 2 binary), and what Hubwire
    /// servers can besides. The fields: two ids, version, whether it resumes, for how many seconds the token is valid,
    /// and of Hubwire servers version, epoch and window. A number that is missing is -1.
    pub fn negotiated(
        &mut self,
        now: f64,
        request: u32,
        fields: &Array,
        transports: &Array,
        features: &Array,
    ) {
        let text = |index| fields.get(index).as_string();
        let count = |index| optional(fields.get(index).as_f64().unwrap_or(-1.0));
        let mut offers = Vec::new();
        for index in 0..transports.length() {
            let pair = Array::from(&transports.get(index));
            let name = pair.get(0).as_string().unwrap_or_default();
            let bits = whole(pair.get(1).as_f64().unwrap_or_default());
            let formats = TransferFormats { text: bits & 1 != 0, binary: bits & 2 != 0 };
            if let Some(transport) = Transport::from_name(&name) {
                offers.push(AvailableTransport { transport, formats });
            }
        }
        let mut known = Vec::new();
        for name in strings(features) {
            if let Some(feature) = Feature::from_name(&name) {
                known.push(feature);
            }
        }
        let extensions = count(5).map(|version| Extensions {
            version: u32::try_from(version).unwrap_or(u32::MAX),
            features: known,
            epoch: text(6),
            dedupe_window: count(7).map(Duration::from_millis),
        });
        let negotiated = Negotiated {
            connection_id: text(0).unwrap_or_default(),
            connection_token: text(1),
            version: count(2).unwrap_or_default() as u8,
            transports: offers,
            stateful_reconnect: fields.get(3).is_truthy(),
            token_lifetime_seconds: count(4),
            extensions,
        };
        self.0.negotiated(time(now), request, Ok(NegotiateResponse::Accepted(negotiated)));
    }

    /// What the store held.
    pub fn restored(&mut self, now: f64, next: f64, client_id: String, calls: &Array) -> Result<(), JsValue> {
        self.0.restored(time(now), whole(next), client_id, calls).map_err(misuse)
    }

    // What came on a link.

    /// Whether calls of that method may be asked about with `passes`. Never changes.
    #[wasm_bindgen(js_name = isPlain)]
    pub fn is_plain(&self, target: &str) -> bool {
        self.0.is_plain(target)
    }

    /// A call of a plain method without id, headers and streams: true if it is for the handlers, and that is all.
    pub fn passes(&mut self, now: f64, link: u32) -> bool {
        self.0.passes(time(now), link)
    }

    /// Any call: type 1 or 4.
    #[allow(clippy::too_many_arguments)]
    #[wasm_bindgen(js_name = receivedCall)]
    pub fn received_call(
        &mut self,
        now: f64,
        link: u32,
        kind: u8,
        id: Option<String>,
        target: String,
        slot: u32,
        size: u32,
        stream_ids: Option<Array>,
        flat_headers: Option<Array>,
    ) {
        let call = Call {
            headers: headers(flat_headers),
            target: target.into(),
            arguments: Handle::new(slot, size),
            stream_ids: texts(stream_ids),
        };
        let id = id.map(ByteString::from);
        self.0.received(
            time(now),
            link,
            match (kind, id) {
                (4, id) => HubMessage::StreamInvocation(StreamInvocation {
                    invocation_id: id.unwrap_or_default(),
                    call,
                }),
                (_, invocation_id) => HubMessage::Invocation(Invocation { invocation_id, call }),
            },
        );
    }
}

impl Connection {
    fn give(&mut self, now: Time, input: Input<Handle>) {
        // Only starts, calls and what a store held can be misused.
        let _ = self.0.input(now, input);
    }
}
