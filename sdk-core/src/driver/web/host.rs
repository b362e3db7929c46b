//! The other side: what the driver asks of JavaScript, which encodes, makes requests, and tells the application.
//!
//! None of it calls back before it returns: what happens meanwhile is for the next turn.

#![allow(missing_docs, reason = "the attribute makes undocumented methods of its own")]

use alloc::string::String;

use js_sys::{Array, Function};
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};

#[wasm_bindgen]
extern "C" {
    /// The JavaScript side of one connection.
    #[derive(Debug)]
    pub type Host;

    // Time.

    /// Calls `tick` after that many milliseconds, instead of what was asked before.
    #[wasm_bindgen(method)]
    pub fn wake(this: &Host, delay: f64);

    // Encoding. Each gives what is to be sent: a text, or bytes.

    /// Type 1 or 4.
    #[wasm_bindgen(method, js_name = encodeCall)]
    pub fn encode_call(
        this: &Host,
        kind: u8,
        id: Option<&str>,
        target: &str,
        arguments: u32,
        streams: Option<Array>,
        headers: Option<Array>,
    ) -> JsValue;
    /// Any other type, with the id or the text, the slot or 0, the error, and the number that belong to it.
    #[wasm_bindgen(method)]
    pub fn encode(
        this: &Host,
        kind: u8,
        text: Option<&str>,
        slot: u32,
        error: Option<&str>,
        number: f64,
    ) -> JsValue;
    /// Several frames as one.
    #[wasm_bindgen(method)]
    pub fn join(this: &Host, frames: &Array) -> JsValue;

    // Transports.

    /// A WebSocket to that address, made with the platform's constructor or that of the application.
    #[wasm_bindgen(method, catch, js_name = webSocket)]
    pub fn web_socket(
        this: &Host,
        link: u32,
        url: &str,
        token: Option<&str>,
    ) -> Result<web_sys::WebSocket, JsValue>;
    #[wasm_bindgen(method, catch, js_name = eventSource)]
    pub fn event_source(
        this: &Host,
        link: u32,
        url: &str,
        token: Option<&str>,
    ) -> Result<web_sys::EventSource, JsValue>;
    /// The handler of that event (0 open, 1 message, 2 error, 3 close) of a transport.
    #[wasm_bindgen(method)]
    pub fn listener(this: &Host, link: u32, event: u8) -> Function;
    /// The address and the token for the requests of a link.
    #[wasm_bindgen(method)]
    pub fn session(this: &Host, link: u32, url: &str, token: Option<&str>);
    /// Makes a request; the answer comes with its number. `body` is undefined unless something is sent.
    #[wasm_bindgen(method)]
    pub fn request(this: &Host, request: u32, kind: u8, link: u32, body: &JsValue);
    /// As [`request`](Self::request), to another address.
    #[wasm_bindgen(method, js_name = requestAt)]
    pub fn request_at(this: &Host, request: u32, kind: u8, url: &str, token: Option<&str>);
    /// Gives up what is on its way for a link, and forgets the link.
    #[wasm_bindgen(method)]
    pub fn abandon(this: &Host, link: u32);

    // Questions.

    #[wasm_bindgen(method)]
    pub fn token(this: &Host, request: f64);
    #[wasm_bindgen(method)]
    pub fn retry(this: &Host, request: f64, retries: u32, elapsed: f64, reason: Array);
    /// Writes a batch: an array for each change.
    #[wasm_bindgen(method)]
    pub fn store(this: &Host, batch: f64, changes: &Array);

    // Events. They wait until the driver is done.

    /// `allow` only for a connection that the server closed. The texts: state, cause, two ids for a connection that was
    /// established, kind and text of the error for one that failed; else undefined.
    #[wasm_bindgen(method)]
    pub fn state(this: &Host, allow: bool, texts: Array);
    /// The slot is JavaScript's now. Ids are -1 where nobody waits.
    #[wasm_bindgen(method)]
    pub fn invocation(this: &Host, target: &str, arguments: u32, reply: f64, delivery: f64);
    /// A slot, which is JavaScript's now, or 0; the error only for a call that failed.
    #[wasm_bindgen(method)]
    pub fn completed(this: &Host, call: f64, value: u32, kind: Option<&str>, text: Option<&str>);
    #[wasm_bindgen(method)]
    pub fn item(this: &Host, call: f64, item: u32);
    /// Any other: its name, two numbers, and texts, as `events.ts` reads them.
    #[wasm_bindgen(method)]
    pub fn event(this: &Host, name: &str, a: f64, b: f64, c: f64, texts: Array);
}

#[wasm_bindgen]
extern "C" {
    /// A WebSocket that takes a text as the JavaScript value that it is.
    #[derive(Debug)]
    pub(super) type Sender;
    #[wasm_bindgen(method, catch)]
    pub(super) fn send(this: &Sender, frame: &JsValue) -> Result<(), JsValue>;
}

/// Makes an array of texts.
pub(super) fn texts(texts: &[&str]) -> Array {
    let array = Array::new();
    for text in texts {
        array.push(&JsValue::from_str(text));
    }
    array
}

/// What an exception says.
pub(super) fn message(error: &JsValue) -> String {
    js_sys::Reflect::get(error, &"message".into())
        .ok()
        .and_then(|text| text.as_string())
        .unwrap_or_else(|| "The transport could not be opened.".into())
}
