//! The browser's driver: no task, no thread, no future. Whatever happens in the page calls one method of [`Driver`], which
//! gives it to the client, does what the client says, and returns; only then does JavaScript tell the application.
//!
//! JavaScript decodes frames, because nothing reads JSON as fast as the browser does, and keeps the payloads: what
//! crosses the border is kinds, ids, short texts and numbers of slots.

mod host;
mod link;
mod outputs;
mod payload;
mod settings;

use alloc::string::String;
use alloc::vec::Vec;

use js_sys::Array;
use wasm_bindgen::prelude::JsValue;

pub use host::Host;
use link::{Link, Request, Want};
pub use payload::{Handle, strings};
pub use settings::{call_options, config};

use crate::client::{
    BatchId, Client, Command, Config, ConnectionState, Input, LinkId, Metrics, Misuse, RequestFailure,
    RequestId,
};
use crate::protocol::{HandshakeResponse, HubMessage, NegotiateResponse, ProtocolError};
use crate::{Error, Time};

/// One connection.
#[derive(Debug)]
pub struct Driver {
    client: Client<Handle>,
    host: Host,
    now: Time,
    /// When JavaScript was asked to call [`tick`](Self::tick).
    armed: Option<Time>,
    link: Option<Link>,
    last_link: u32,
    /// Few at a time.
    requests: Vec<(u32, Purpose)>,
    last_request: u32,
}

/// Who waits for the answer to a request.
#[derive(Clone, Copy, Debug)]
enum Purpose {
    Negotiate(RequestId),
    Refresh(RequestId),
    Link(u32, Request),
}

impl Driver {
    /// A connection that was not started.
    pub fn new(config: Config, seed: u64, host: Host) -> Self {
        Self {
            client: Client::new(config, seed),
            host,
            now: Time::ZERO,
            armed: None,
            link: None,
            last_link: 0,
            requests: Vec::new(),
            last_request: 0,
        }
    }

    /// The state of the connection.
    pub const fn state(&self) -> ConnectionState {
        self.client.state()
    }

    /// How it stands.
    pub fn metrics(&self) -> Metrics {
        self.client.metrics()
    }

    /// Where it stands in streams with history.
    pub fn positions(&self) -> Vec<crate::protocol::delivery::Position> {
        self.client.positions()
    }

    /// Whether calls should be made now.
    pub fn wants_calls(&self) -> bool {
        self.client.wants_calls() && !self.link.as_ref().is_some_and(Link::is_full)
    }

    /// Changes what later connections use.
    pub fn reconfigure(&mut self, change: impl FnOnce(&mut Client<Handle>)) {
        change(&mut self.client);
    }

    /// Gives the client one input.
    ///
    /// # Errors
    /// What the caller did wrong.
    pub fn input(&mut self, now: Time, input: Input<Handle>) -> Result<(), Misuse> {
        self.now = now;
        self.client.handle(now, input)?;
        self.drain();
        Ok(())
    }

    fn give(&mut self, input: Input<Handle>) {
        // Ids are unique and misuse is found before it comes here.
        let _ = self.client.handle(self.now, input);
        self.drain();
    }

    /// A command of the application.
    ///
    /// # Errors
    /// What the caller did wrong.
    pub fn command(&mut self, now: Time, command: Command<Handle>) -> Result<(), Misuse> {
        self.input(now, Input::Command(command))
    }

    /// The time that was asked for has come.
    pub fn tick(&mut self, now: Time) {
        self.armed = None;
        self.now = now;
        self.give(Input::Tick);
    }

    fn current(&self, number: u32) -> Option<&Link> {
        self.link.as_ref().filter(|link| link.number == number)
    }

    /// Whether calls of that method may be asked about with [`passes`](Self::passes).
    pub fn is_plain(&self, target: &str) -> bool {
        self.client.is_plain(target)
    }

    /// A call of a plain method without id, headers and streams has come: whether JavaScript can give it to the
    /// handlers, and nothing else has to be done.
    pub fn passes(&mut self, now: Time, number: u32) -> bool {
        match self.link {
            Some(Link { number: current, id, .. }) if current == number => self.client.pass(now, id),
            _ => false,
        }
    }

    /// A message came on that link.
    pub fn received(&mut self, now: Time, number: u32, message: HubMessage<Handle>) {
        if let Some(id) = self.current(number).map(|link| link.id) {
            self.received_from(now, id, message);
        }
    }

    fn received_from(&mut self, now: Time, id: LinkId, message: HubMessage<Handle>) {
        self.now = now;
        // After `Stop` nothing that comes matters any more.
        if self.client.state() != ConnectionState::Disconnecting {
            self.give(Input::Message(id, message));
        }
    }

    /// Whether what comes next on that link is the handshake response; none if nothing should be read.
    pub fn reads(&self, number: u32) -> Option<bool> {
        self.current(number).map(|link| link.handshaking)
    }

    /// The first record of a link.
    pub fn handshaken(&mut self, now: Time, number: u32, response: Result<HandshakeResponse, ProtocolError>) {
        self.now = now;
        let Some(link) = self.link.as_mut().filter(|link| link.number == number) else { return };
        link.handshaking = false;
        let id = link.id;
        self.give(Input::Handshake(id, response));
    }

    /// Something came that is no message.
    pub fn malformed(&mut self, now: Time, number: u32, error: ProtocolError) {
        self.now = now;
        if let Some(id) = self.current(number).map(|link| link.id) {
            self.give(Input::Malformed(id, error));
        }
    }

    /// The transport is open.
    pub fn opened(&mut self, now: Time, number: u32) {
        self.now = now;
        let Some(link) = self.link.as_mut().filter(|link| link.number == number && !link.is_open) else {
            return;
        };
        link.is_open = true;
        let id = link.id;
        self.give(Input::Opened(id));
    }

    /// The transport failed, or was closed.
    pub fn closed(&mut self, now: Time, number: u32, result: Result<(), RequestFailure>) {
        self.now = now;
        if let Some(link) = self.link.take_if(|link| link.number == number) {
            self.host.abandon(number);
            self.give(Input::Closed(link.id, result));
        }
    }

    /// The answer to a negotiate request.
    pub fn negotiated(
        &mut self,
        now: Time,
        request: u32,
        response: Result<NegotiateResponse, RequestFailure>,
    ) {
        self.now = now;
        if let Some(Purpose::Negotiate(id)) = self.forget(request) {
            self.give(Input::Negotiated(id, response));
        }
    }

    /// A request has succeeded: for how many seconds the token is valid now, or whether the server ended the connection.
    pub fn answered(&mut self, now: Time, request: u32, lifetime: Option<u64>, is_over: bool) {
        self.now = now;
        match self.forget(request) {
            Some(Purpose::Refresh(id)) => self.give(Input::Refreshed(id, Ok(lifetime))),
            Some(Purpose::Link(number, Request::Poll)) => self.polled(number, is_over),
            Some(Purpose::Link(number, Request::Delete)) => self.closed(now, number, Ok(())),
            Some(Purpose::Link(number, _)) => {
                if let Some(link) = self.link.as_mut().filter(|link| link.number == number) {
                    let want = link.posted(&self.host);
                    self.satisfy(number, want);
                }
            }
            Some(Purpose::Negotiate(_)) | None => {}
        }
    }

    /// A request has failed.
    pub fn failed(&mut self, now: Time, request: u32, failure: RequestFailure) {
        self.now = now;
        match self.forget(request) {
            Some(Purpose::Negotiate(id)) => self.give(Input::Negotiated(id, Err(failure))),
            Some(Purpose::Refresh(id)) => self.give(Input::Refreshed(id, Err(failure))),
            // What goes wrong here changes nothing: the server ends the connection by itself later.
            Some(Purpose::Link(number, Request::Delete)) => self.closed(now, number, Ok(())),
            // The poll that waited is given up when the link is closed.
            Some(Purpose::Link(number, Request::Poll))
                if self.current(number).is_some_and(Link::is_closing) => {}
            Some(Purpose::Link(number, _)) => self.closed(now, number, Err(failure)),
            None => {}
        }
    }

    fn polled(&mut self, number: u32, is_over: bool) {
        let Some(link) = self.current(number).filter(|link| !link.is_closing()) else { return };
        match (is_over, link.is_open) {
            (true, true) => self.closed(self.now, number, Ok(())),
            (true, false) => {
                let text = "the server ended the connection at once";
                self.closed(self.now, number, Err(RequestFailure::Network(text.into())));
            }
            (false, true) => self.poll(number),
            // The first poll is answered at once, with nothing: it makes the connection active.
            (false, false) => {
                self.poll(number);
                self.opened(self.now, number);
            }
        }
    }

    fn poll(&mut self, number: u32) {
        if self.current(number).is_some_and(|link| link.polls() && !link.is_closing()) {
            self.satisfy(number, Want::Send(Request::Poll, JsValue::UNDEFINED));
        }
    }

    fn purpose(&mut self, purpose: Purpose) -> u32 {
        self.last_request = self.last_request.wrapping_add(1);
        self.requests.push((self.last_request, purpose));
        self.last_request
    }

    fn forget(&mut self, request: u32) -> Option<Purpose> {
        let index = self.requests.iter().position(|(id, _)| *id == request)?;
        Some(self.requests.swap_remove(index).1)
    }

    fn satisfy(&mut self, number: u32, want: Want) {
        match want {
            Want::Nothing => {}
            Want::Closed => self.closed(self.now, number, Ok(())),
            Want::Send(request, body) => {
                let id = self.purpose(Purpose::Link(number, request));
                self.host.request(id, request as u8, number, &body);
            }
        }
    }

    /// Lets go of everything, without a word to the server.
    pub fn dispose(&mut self) {
        if let Some(link) = self.link.take() {
            link.abandon(&self.host);
        }
        self.requests.clear();
    }

    /// What the store held; before everything else.
    ///
    /// # Errors
    /// When something came before.
    pub fn restored(&mut self, now: Time, next: u64, client_id: String, calls: &Array) -> Result<(), Misuse> {
        let mut stored = Vec::new();
        for index in 0..calls.length() {
            if let Some(call) = settings::stored_call(&calls.get(index)) {
                stored.push(call);
            }
        }
        self.input(now, Input::Restored { next: crate::client::Sequence(next), client_id, calls: stored })
    }

    /// A batch was written, or not.
    pub fn stored(&mut self, now: Time, batch: u64, result: Result<(), Error>) {
        self.now = now;
        self.give(Input::Stored(BatchId::from_raw(batch), result));
    }
}
