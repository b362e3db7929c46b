//! The browser binding: what JavaScript sees of the client core. Internal to the npm package `@hubwire/web`, whose
//! TypeScript is the API.
//!
//! Nothing here decides anything: each method converts what it is given, calls the driver once, and converts back. Times
//! come in as milliseconds of the Unix epoch, ids and counts as doubles.
#![cfg(target_arch = "wasm32")]
#![no_std]

extern crate alloc;

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use bytestring::ByteString;
use hubwire::client::{
    CallId, CallKind, CallRequest, Command, ConnectionState, DeliveryId, Hint, Input, Misuse, Reply, ReplyId,
    RequestFailure, RequestId, UploadId,
};
use hubwire::protocol::{
    AvailableTransport, Call, CancelInvocation, Close, Completion, Extensions, Feature, HandshakeResponse,
    Headers, HubMessage, Invocation, NegotiateResponse, Negotiated, Outcome, ProtocolError, Redirect,
    StreamInvocation, StreamItem, TransferFormats, Transport,
};
use hubwire::web::{Driver, Handle, Host, call_options, config};
use hubwire::{Error, ErrorKind, Time};
use js_sys::Array;
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};

#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

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

const fn time(now: f64) -> Time {
    Time::from_millis(whole(now))
}

fn misuse(misuse: Misuse) -> JsValue {
    JsValue::from_str(&misuse.to_string())
}

fn texts(list: Option<Array>) -> Vec<ByteString> {
    list.map(|list| list.iter().filter_map(|text| text.as_string()).map(ByteString::from).collect())
        .unwrap_or_default()
}

fn headers(flat: Option<Array>) -> Headers {
    let mut texts = texts(flat).into_iter();
    let mut headers = Headers::new();
    while let (Some(name), Some(value)) = (texts.next(), texts.next()) {
        headers.push((name, value));
    }
    headers
}

/// What a slot has, if it is one.
const fn payload(slot: u32, size: u32) -> Option<Handle> {
    if slot == 0 { None } else { Some(Handle::new(slot, size)) }
}

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

    /// Disconnects.
    pub fn stop(&mut self, now: f64) {
        self.command(now, Command::Stop);
    }

    /// Whether nothing is connected, and nothing is to be.
    #[wasm_bindgen(js_name = isDisconnected)]
    pub fn is_disconnected(&self) -> bool {
        self.0.state() == ConnectionState::Disconnected
    }

    /// Whether calls should be made now, or wait.
    #[wasm_bindgen(js_name = wantsCalls)]
    pub fn wants_calls(&self) -> bool {
        self.0.wants_calls()
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
            let id = |upload: JsValue| upload.as_f64().map(|id| UploadId(whole(id)));
            request.uploads = uploads.iter().filter_map(id).collect();
        }
        request.options = call_options(options);
        self.0.command(time(now), Command::Call(request)).map_err(misuse)
    }

    /// Takes a call back.
    pub fn cancel(&mut self, now: f64, call: f64) {
        self.command(now, Command::Cancel(CallId(whole(call))));
    }

    /// One item of an upload.
    pub fn upload(&mut self, now: f64, upload: f64, slot: u32, size: u32) {
        self.command(now, Command::Item { upload: UploadId(whole(upload)), item: Handle::new(slot, size) });
    }

    /// The end of an upload.
    #[wasm_bindgen(js_name = endUpload)]
    pub fn end_upload(&mut self, now: f64, upload: f64, error: Option<String>) {
        self.command(now, Command::EndUpload { upload: UploadId(whole(upload)), error });
    }

    /// All handlers of a message have ended, or failed for that reason.
    pub fn handled(&mut self, now: f64, delivery: f64, reason: Option<String>) {
        let result = reason.map_or(Ok(()), Err);
        self.command(now, Command::Handled(DeliveryId::from_raw(whole(delivery)), result));
    }

    /// Acknowledges a message by its id, or says why it could not be handled.
    pub fn acknowledge(&mut self, now: f64, id: String, reason: Option<String>) {
        self.command(
            now,
            match reason {
                None => Command::Acknowledge(id),
                Some(reason) => Command::Nack(id, reason),
            },
        );
    }

    /// Answers a call of the server: 0 nothing, 1 the value, 2 the error, 3 no handler, 4 many handlers.
    pub fn reply(&mut self, now: f64, reply: f64, kind: u8, slot: u32, size: u32, error: Option<String>) {
        let answer = match (kind, payload(slot, size)) {
            (1, Some(value)) => Reply::Value(value),
            (2, _) => Reply::Error(error.unwrap_or_default()),
            (3, _) => Reply::NoHandler,
            (4, _) => Reply::ManyHandlers,
            _ => Reply::Void,
        };
        self.command(now, Command::Reply(ReplyId::from_raw(whole(reply)), answer));
    }

    /// What the platform knows: 0 online, 1 offline, 2 awake again, 3 in front of the user, 4 not.
    pub fn hint(&mut self, now: f64, hint: u8) {
        let hint = match hint {
            0 => Hint::Online,
            1 => Hint::Offline,
            2 => Hint::Resumed,
            3 => Hint::Foreground,
            _ => Hint::Background,
        };
        self.input(now, Input::Hint(hint));
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
        self.0.positions().iter().map(|position| JsValue::from_str(&position.to_string())).collect()
    }

    /// Lets go of everything.
    pub fn dispose(&mut self) {
        self.0.dispose();
    }

    // What happened outside.

    /// The time that was asked for has come.
    pub fn tick(&mut self, now: f64) {
        self.0.tick(time(now));
    }

    /// The answer of the token factory.
    pub fn token(&mut self, now: f64, request: f64, token: Option<String>, error: Option<String>) {
        let token = error.map_or(Ok(token), Err);
        self.input(now, Input::Token(RequestId::from_raw(whole(request)), token));
    }

    /// The answer of a retry policy: a delay, or none to give up.
    #[wasm_bindgen(js_name = retryAfter)]
    pub fn retry_after(&mut self, now: f64, request: f64, delay: Option<f64>) {
        let delay = delay.map(|millis| Duration::from_millis(whole(millis)));
        self.input(now, Input::RetryAfter(RequestId::from_raw(whole(request)), delay));
    }

    /// The transport is open.
    pub fn opened(&mut self, now: f64, link: u32) {
        self.0.opened(time(now), link);
    }

    /// The transport is closed: in order (code 0), with a status of a WebSocket, or (code 1) with a text of ours.
    pub fn closed(&mut self, now: f64, link: u32, code: u16, reason: String) {
        let result = match code {
            0 => Ok(()),
            1 => Err(RequestFailure::Network(reason)),
            code => Err(RequestFailure::Closed { code, reason }),
        };
        self.0.closed(time(now), link, result);
    }

    /// A negotiate response: who the connection is (two ids), what the server offers (names, and bits: 1 text, 2 binary),
    /// and Hubwire's extensions. A number that is missing is -1.
    #[allow(clippy::too_many_arguments)]
    pub fn negotiated(
        &mut self,
        now: f64,
        request: u32,
        connection_id: String,
        connection_token: Option<String>,
        version: u8,
        stateful_reconnect: bool,
        token_lifetime: f64,
        transports: &Array,
        extensions: f64,
        features: &Array,
        epoch: Option<String>,
        dedupe_window: f64,
    ) {
        let optional = |number: f64| (number >= 0.0).then(|| whole(number));
        let transport = |pair: JsValue| {
            let pair = Array::from(&pair);
            let bits = whole(pair.get(1).as_f64()?);
            let transport = Transport::from_name(&pair.get(0).as_string()?)?;
            let formats = TransferFormats { text: bits & 1 != 0, binary: bits & 2 != 0 };
            Some(AvailableTransport { transport, formats })
        };
        let feature = |name: JsValue| Feature::from_name(&name.as_string()?);
        let extensions = optional(extensions).map(|version| Extensions {
            version: u32::try_from(version).unwrap_or(u32::MAX),
            features: features.iter().filter_map(feature).collect(),
            epoch,
            dedupe_window: optional(dedupe_window).map(Duration::from_millis),
        });
        let negotiated = Negotiated {
            connection_id,
            connection_token,
            version,
            transports: transports.iter().filter_map(transport).collect(),
            stateful_reconnect,
            token_lifetime_seconds: optional(token_lifetime),
            extensions,
        };
        self.0.negotiated(time(now), request, Ok(NegotiateResponse::Accepted(negotiated)));
    }

    /// A negotiate response that sends the client elsewhere.
    pub fn redirected(&mut self, now: f64, request: u32, url: String, access_token: Option<String>) {
        let redirect = NegotiateResponse::Redirect(Redirect { url, access_token });
        self.0.negotiated(time(now), request, Ok(redirect));
    }

    /// A negotiate response that refuses the client, or (malformed) is none.
    pub fn refused(&mut self, now: f64, request: u32, text: String, malformed: bool) {
        let response = if malformed {
            Err(RequestFailure::Protocol(ProtocolError::Negotiate(text.into())))
        } else {
            Ok(NegotiateResponse::Refused(text))
        };
        self.0.negotiated(time(now), request, response);
    }

    /// A request has succeeded: for how many seconds the token is valid now (-1 if unknown), and whether the server has
    /// ended the connection.
    pub fn answered(&mut self, now: f64, request: u32, lifetime: f64, is_over: bool) {
        let lifetime = (lifetime >= 0.0).then(|| whole(lifetime));
        self.0.answered(time(now), request, lifetime, is_over);
    }

    /// A request has failed: with a status and the server's text, or (status 0) without an answer.
    pub fn failed(&mut self, now: f64, request: u32, status: u16, text: String, retry_after: f64) {
        self.0.failed(time(now), request, failure(status, text, retry_after));
    }

    /// What the store held.
    pub fn restored(&mut self, now: f64, next: f64, client_id: String, calls: &Array) -> Result<(), JsValue> {
        self.0.restored(time(now), whole(next), client_id, calls).map_err(misuse)
    }

    /// A batch was written, or not, with the reason.
    pub fn stored(&mut self, now: f64, batch: f64, error: Option<String>) {
        let result = error.map_or(Ok(()), |text| Err(Error::new(ErrorKind::Overflow, text)));
        self.0.stored(time(now), whole(batch), result);
    }

    // What came on a link.

    /// Whether the handshake response comes next; undefined if nothing should be read.
    pub fn reads(&self, link: u32) -> Option<bool> {
        self.0.reads(link)
    }

    /// A handshake response: an error of the server, or (malformed) what is wrong with it.
    pub fn handshaken(&mut self, now: f64, link: u32, error: Option<String>, malformed: bool) {
        let response = match error {
            Some(text) if malformed => Err(ProtocolError::Handshake(text.into())),
            error => Ok(HandshakeResponse { error }),
        };
        self.0.handshaken(time(now), link, response);
    }

    /// A number for the name of a method; undefined when there are too many.
    pub fn intern(&mut self, target: String) -> Option<u32> {
        self.0.intern(target)
    }

    /// A call without id, headers and streams. True: JavaScript takes the slot and runs the handlers.
    pub fn invoked(&mut self, now: f64, link: u32, target: u32, slot: u32, size: u32) -> bool {
        self.0.invoked(time(now), link, target, Handle::new(slot, size))
    }

    /// Any other call: type 1 or 4.
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
        self.received(
            now,
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

    /// An item of a stream.
    #[wasm_bindgen(js_name = receivedItem)]
    pub fn received_item(&mut self, now: f64, link: u32, id: String, slot: u32, size: u32) {
        let item = Handle::new(slot, size);
        let item = StreamItem { headers: Headers::new(), invocation_id: id.into(), item };
        self.received(now, link, HubMessage::StreamItem(item));
    }

    /// The end of a call: with an error, a value, or (slot 0) neither.
    #[wasm_bindgen(js_name = receivedCompletion)]
    pub fn received_completion(
        &mut self,
        now: f64,
        link: u32,
        id: String,
        slot: u32,
        size: u32,
        error: Option<String>,
    ) {
        let outcome = match (error, payload(slot, size)) {
            (Some(error), _) => Outcome::Error(error.into()),
            (None, Some(value)) => Outcome::Value(value),
            (None, None) => Outcome::Void,
        };
        self.received(now, link, HubMessage::Completion(Completion::new(id, outcome)));
    }

    /// Types 5, 6, 8 and 9, with the id or the number that they have.
    #[wasm_bindgen(js_name = receivedControl)]
    pub fn received_control(&mut self, now: f64, link: u32, kind: u8, id: Option<String>, number: f64) {
        let sequence_id = whole(number);
        let message = match kind {
            5 => HubMessage::CancelInvocation(CancelInvocation::new(id.unwrap_or_default())),
            8 => HubMessage::Ack { sequence_id },
            9 => HubMessage::Sequence { sequence_id },
            _ => HubMessage::Ping,
        };
        self.received(now, link, message);
    }

    /// The server ends the connection; the time in milliseconds is -1 if it says none.
    #[wasm_bindgen(js_name = receivedClose)]
    pub fn received_close(
        &mut self,
        now: f64,
        link: u32,
        error: Option<String>,
        allow_reconnect: bool,
        retry_after: f64,
    ) {
        let retry_after = (retry_after >= 0.0).then(|| Duration::from_millis(whole(retry_after)));
        let close = Close { error: error.map(ByteString::from), allow_reconnect, retry_after };
        self.received(now, link, HubMessage::Close(close));
    }

    /// Something came that is no message; too large (limit in bytes), or malformed (limit 0).
    pub fn malformed(&mut self, now: f64, link: u32, text: &str, limit: f64) {
        let error = match whole(limit) {
            0 => ProtocolError::Reported(text.to_owned()),
            limit => ProtocolError::TooLarge { limit: usize::try_from(limit).unwrap_or(usize::MAX) },
        };
        self.0.malformed(time(now), link, error);
    }
}

impl Connection {
    fn command(&mut self, now: f64, command: Command<Handle>) {
        self.input(now, Input::Command(command));
    }

    fn input(&mut self, now: f64, input: Input<Handle>) {
        // Only starts, calls and what a store held can be misused.
        let _ = self.0.input(time(now), input);
    }

    fn received(&mut self, now: f64, link: u32, message: HubMessage<Handle>) {
        self.0.received(time(now), link, message);
    }
}
