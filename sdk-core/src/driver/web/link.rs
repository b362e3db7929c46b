//! An open transport, or one that opens: a WebSocket, or a stream of events or polls with requests the other way.

use js_sys::Array;
use wasm_bindgen::prelude::{JsCast, JsValue};
use web_sys::{BinaryType, EventSource, WebSocket};

use super::host::{Host, Sender, message};
use crate::client::{LinkId, LinkRequest, RequestFailure};
use crate::protocol::Transport;

/// What may wait to leave before calls of the application have to wait.
const OUTGOING_BYTES: u32 = 1 << 20;
const OUTGOING_FRAMES: u32 = 1024;

/// The events that [`Host::listener`] knows.
const OPEN: u8 = 0;
const MESSAGE: u8 = 1;
const ERROR: u8 = 2;
const CLOSE: u8 = 3;

/// What a request is for; the numbers are known to JavaScript.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Negotiate = 0,
    Refresh = 1,
    Post = 2,
    Poll = 3,
    Delete = 4,
}

/// One transport.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) id: LinkId,
    /// Names it to JavaScript.
    pub(super) number: u32,
    kind: Kind,
    /// What comes next is the handshake response.
    pub(super) handshaking: bool,
    pub(super) is_open: bool,
    /// Closed by this side, in order: after what is still to be sent.
    closing: bool,
}

#[derive(Debug)]
enum Kind {
    WebSocket(WebSocket),
    EventSource(EventSource, Posts),
    LongPolling(Posts),
}

/// What goes up by request: one at a time, so that it arrives in order.
#[derive(Debug, Default)]
struct Posts {
    waiting: Array,
    /// One is on its way.
    busy: bool,
    /// The request that ends the connection is on its way.
    deleting: bool,
}

/// What a link wants of the driver, which has the numbers of requests.
#[derive(Debug, PartialEq)]
pub(super) enum Want {
    Nothing,
    Send(Request, JsValue),
    /// All was said and the transport is closed.
    Closed,
}

impl Link {
    /// Begins to open a transport.
    pub(super) fn open(
        host: &Host,
        id: LinkId,
        number: u32,
        request: &LinkRequest,
    ) -> Result<Self, RequestFailure> {
        let (url, token) = (request.url.as_str(), request.token.as_deref());
        let failed = |error: JsValue| RequestFailure::Network(message(&error));
        let kind = match request.transport {
            Transport::WebSockets => {
                let socket = host.web_socket(number, url, token).map_err(failed)?;
                socket.set_binary_type(BinaryType::Arraybuffer);
                socket.set_onopen(Some(&host.listener(number, OPEN)));
                socket.set_onmessage(Some(&host.listener(number, MESSAGE)));
                socket.set_onclose(Some(&host.listener(number, CLOSE)));
                Kind::WebSocket(socket)
            }
            Transport::ServerSentEvents => {
                host.session(number, url, token);
                let source = host.event_source(number, url, token).map_err(failed)?;
                source.set_onopen(Some(&host.listener(number, OPEN)));
                source.set_onmessage(Some(&host.listener(number, MESSAGE)));
                source.set_onerror(Some(&host.listener(number, ERROR)));
                Kind::EventSource(source, Posts::default())
            }
            Transport::LongPolling => {
                host.session(number, url, token);
                Kind::LongPolling(Posts::default())
            }
        };
        Ok(Self { id, number, kind, handshaking: !request.resumes, is_open: false, closing: false })
    }

    pub(super) const fn polls(&self) -> bool {
        matches!(self.kind, Kind::LongPolling(_))
    }

    /// This side has closed it.
    pub(super) const fn is_closing(&self) -> bool {
        self.closing
    }

    /// Whether so much waits to leave that calls should wait too.
    pub(super) fn is_full(&self) -> bool {
        match &self.kind {
            Kind::WebSocket(socket) => socket.buffered_amount() >= OUTGOING_BYTES,
            Kind::EventSource(_, posts) | Kind::LongPolling(posts) => {
                posts.waiting.length() >= OUTGOING_FRAMES
            }
        }
    }

    /// Sends a frame, or keeps it until the request before has ended.
    pub(super) fn send(&mut self, host: &Host, frame: JsValue) -> Want {
        match &mut self.kind {
            Kind::WebSocket(socket) => {
                // It fails only while connecting, when nothing is sent.
                let _ = socket.unchecked_ref::<Sender>().send(&frame);
                Want::Nothing
            }
            Kind::EventSource(_, posts) | Kind::LongPolling(posts) => {
                posts.waiting.push(&frame);
                posts.next(host)
            }
        }
    }

    /// A request that sent something has succeeded.
    pub(super) fn posted(&mut self, host: &Host) -> Want {
        let closing = self.closing;
        match &mut self.kind {
            Kind::WebSocket(_) => Want::Nothing,
            Kind::EventSource(_, posts) | Kind::LongPolling(posts) => {
                posts.busy = false;
                match posts.next(host) {
                    Want::Nothing if closing => self.end(host),
                    want => want,
                }
            }
        }
    }

    /// Closes it in order, after what waits.
    pub(super) fn close(&mut self, host: &Host) -> Want {
        if self.closing {
            return Want::Nothing;
        }
        self.closing = true;
        match &self.kind {
            Kind::EventSource(_, posts) | Kind::LongPolling(posts) if posts.busy => Want::Nothing,
            _ => self.end(host),
        }
    }

    fn end(&mut self, host: &Host) -> Want {
        match &mut self.kind {
            Kind::WebSocket(socket) => {
                let _ = socket.close();
                Want::Nothing
            }
            Kind::EventSource(source, _) => {
                source.close();
                host.abandon(self.number);
                Want::Closed
            }
            Kind::LongPolling(posts) if posts.deleting => Want::Nothing,
            Kind::LongPolling(posts) => {
                posts.deleting = true;
                Want::Send(Request::Delete, JsValue::UNDEFINED)
            }
        }
    }

    /// Lets go of it: nothing that it still says is heard.
    pub(super) fn abandon(&self, host: &Host) {
        match &self.kind {
            Kind::WebSocket(socket) => {
                socket.set_onopen(None);
                socket.set_onmessage(None);
                socket.set_onclose(None);
                let _ = socket.close();
            }
            Kind::EventSource(source, _) => {
                source.set_onopen(None);
                source.set_onmessage(None);
                source.set_onerror(None);
                source.close();
            }
            Kind::LongPolling(_) => {}
        }
        host.abandon(self.number);
    }
}

impl Posts {
    /// All that waits, as one request.
    fn next(&mut self, host: &Host) -> Want {
        if self.busy || self.waiting.length() == 0 {
            return Want::Nothing;
        }
        self.busy = true;
        let frames = core::mem::take(&mut self.waiting);
        Want::Send(Request::Post, if frames.length() == 1 { frames.get(0) } else { host.join(&frames) })
    }
}
