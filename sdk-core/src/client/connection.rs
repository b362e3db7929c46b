//! How a connection is made and ends: the only file that changes the phase.
//!
//! ```text
//! Disconnected -> Token -> Negotiating -> Opening -> Handshaking -> Connected
//!       ^           |  ^________|  ^__________|           |             |
//!       |           |   redirect     next transport       |             |
//!       '-----------'-----------'----------'--------------'- Closing <--'
//! ```
//! Every arrow back to Disconnected carries its cause. Once a link is shut, input of it is ignored.

use super::io::{Event, HttpRequest, LinkId, LinkRequest, Output, RequestFailure, RequestId};
use super::state::{Cause, ConnectionState};
use super::timers::Timer;
use super::{Client, Misuse, url};
use crate::protocol::{
    self, Close, HandshakeRequest, HandshakeResponse, HubMessage, NegotiateResponse, Negotiated,
    ProtocolError, Redirect, Transport,
};
use crate::{Error, ErrorKind};

/// What the connection waits for.
#[derive(Debug)]
pub(super) enum Phase {
    Disconnected,
    /// The application's token.
    Token {
        request: RequestId,
        attempt: Attempt,
    },
    /// The negotiate response.
    Negotiating {
        request: RequestId,
        attempt: Attempt,
    },
    /// The transport to open.
    Opening {
        link: LinkId,
        transport: Transport,
        connection_id: Option<String>,
        attempt: Attempt,
    },
    /// The handshake response.
    Handshaking {
        link: LinkId,
        connection_id: Option<String>,
    },
    Connected {
        link: LinkId,
    },
    /// The transport to close, after `Stop`.
    Closing {
        link: LinkId,
    },
}

/// What is known of one start, from the token to the handshake.
#[derive(Debug, Default)]
pub(super) struct Attempt {
    /// Where to negotiate: the configured address, or where the server redirected to.
    url: String,
    token: Option<String>,
    redirects: u32,
    /// The transports that failed to open, with the reason.
    failed: Vec<(Transport, Error)>,
}

impl Phase {
    pub(super) const fn state(&self) -> ConnectionState {
        match self {
            Self::Disconnected => ConnectionState::Disconnected,
            Self::Token { .. }
            | Self::Negotiating { .. }
            | Self::Opening { .. }
            | Self::Handshaking { .. } => ConnectionState::Connecting,
            Self::Connected { .. } => ConnectionState::Connected,
            Self::Closing { .. } => ConnectionState::Disconnecting,
        }
    }

    /// The link on which messages travel.
    pub(super) const fn connected(&self) -> Option<LinkId> {
        match self {
            Self::Connected { link } => Some(*link),
            _ => None,
        }
    }

    const fn link(&self) -> Option<LinkId> {
        match self {
            Self::Opening { link, .. }
            | Self::Handshaking { link, .. }
            | Self::Connected { link }
            | Self::Closing { link } => Some(*link),
            Self::Disconnected | Self::Token { .. } | Self::Negotiating { .. } => None,
        }
    }
}

impl<P> Client<P> {
    pub(super) fn start(&mut self) -> Result<(), Misuse> {
        if !matches!(self.phase, Phase::Disconnected) {
            return Err(Misuse::NotDisconnected(self.state()));
        }
        if self.config.skip_negotiation && self.config.transports != [Transport::WebSockets] {
            return Err(Misuse::SkipNegotiation);
        }
        self.change_state(ConnectionState::Connecting, Cause::Requested);
        let attempt = Attempt { url: self.config.url.clone(), ..Attempt::default() };
        if self.config.has_token_factory {
            let request = self.take_request();
            self.out.push_back(Output::Token(request));
            self.phase = Phase::Token { request, attempt };
        } else {
            self.begin(attempt);
        }
        Ok(())
    }

    pub(super) fn stop(&mut self) {
        match self.phase {
            Phase::Disconnected | Phase::Closing { .. } => {}
            Phase::Connected { link } => {
                self.out.push_back(Output::Transmit(link, HubMessage::Close(Close::default())));
                self.out.push_back(Output::Shut(link));
                self.timers.stop_all();
                self.timers.set(Timer::Close, self.now + self.config.close_timeout);
                self.phase = Phase::Closing { link };
                self.end_calls(None);
                self.change_state(ConnectionState::Disconnecting, Cause::Requested);
            }
            Phase::Token { .. }
            | Phase::Negotiating { .. }
            | Phase::Opening { .. }
            | Phase::Handshaking { .. } => {
                self.disconnect(Cause::Requested);
            }
        }
    }

    pub(super) fn handle_token(&mut self, answered: RequestId, token: Result<Option<String>, String>) {
        let Phase::Token { request, attempt } = &mut self.phase else { return };
        if *request != answered {
            return;
        }
        match token {
            Ok(token) => {
                let attempt = Attempt { token, ..std::mem::take(attempt) };
                self.begin(attempt);
            }
            Err(reason) => {
                self.fail(Error::new(
                    ErrorKind::Refused,
                    format!("The access token factory failed: {reason}"),
                ));
            }
        }
    }

    /// The token is known: negotiates, or opens the WebSocket right away.
    fn begin(&mut self, attempt: Attempt) {
        if self.config.skip_negotiation {
            self.open(attempt, Transport::WebSockets, None);
        } else {
            self.negotiate(attempt);
        }
    }

    fn negotiate(&mut self, attempt: Attempt) {
        let request = self.take_request();
        let http = HttpRequest { url: url::negotiate(&attempt.url), token: attempt.token.clone() };
        self.out.push_back(Output::Negotiate(request, http));
        self.phase = Phase::Negotiating { request, attempt };
    }

    pub(super) fn handle_negotiated(
        &mut self,
        answered: RequestId,
        response: Result<NegotiateResponse, RequestFailure>,
    ) {
        let Phase::Negotiating { request, attempt } = &mut self.phase else { return };
        if *request != answered {
            return;
        }
        let mut attempt = std::mem::take(attempt);
        match response {
            Ok(NegotiateResponse::Accepted(negotiated)) => self.choose_transport(attempt, negotiated),
            Ok(NegotiateResponse::Redirect(Redirect { url, access_token })) => {
                if attempt.redirects >= self.config.max_redirects {
                    return self
                        .fail(Error::new(ErrorKind::Protocol, "Negotiate redirection limit exceeded."));
                }
                attempt.redirects += 1;
                attempt.url = url;
                if access_token.is_some() {
                    attempt.token = access_token;
                }
                self.negotiate(attempt);
            }
            Ok(NegotiateResponse::Refused(text)) => self.fail(Error::new(ErrorKind::Refused, text)),
            Err(failure) => {
                let error = failure.into_error();
                self.fail(error.in_context("Failed to complete negotiation with the server: "));
            }
        }
    }

    /// Takes the first transport, in the server's order, that both ends can use and that has not failed.
    fn choose_transport(&mut self, attempt: Attempt, negotiated: Negotiated) {
        if negotiated.stateful_reconnect {
            let text = "Client didn't negotiate Stateful Reconnect but the server did.";
            return self.fail(Error::new(ErrorKind::Protocol, text));
        }
        let format = self.config.encoding.transfer_format();
        let usable = negotiated.transports.iter().find(|offer| {
            offer.formats.contains(format)
                && self.config.transports.contains(&offer.transport)
                && !attempt.failed.iter().any(|(failed, _)| *failed == offer.transport)
        });
        if let Some(offer) = usable {
            return self.open(attempt, offer.transport, Some(negotiated));
        }
        self.fail(match attempt.failed.last() {
            None => Error::new(
                ErrorKind::Refused,
                "None of the transports supported by the client are supported by the server.",
            ),
            Some((_, last)) => {
                let kind = last.kind();
                let failures = attempt
                    .failed
                    .iter()
                    .map(|(transport, error)| format!("{} failed: {error}", transport.name()));
                let failures = failures.collect::<Vec<_>>().join("; ");
                let text = format!(
                    "Unable to connect to the server with any of the available transports. {failures}"
                );
                Error::new(kind, text)
            }
        });
    }

    fn open(&mut self, attempt: Attempt, transport: Transport, negotiated: Option<Negotiated>) {
        self.last_link += 1;
        let link = LinkId(self.last_link);
        let url = match &negotiated {
            Some(negotiated) => url::connect(&attempt.url, negotiated.transport_id()),
            None => attempt.url.clone(),
        };
        self.out.push_back(Output::Open(link, LinkRequest { transport, url, token: attempt.token.clone() }));
        self.timers.stop_all();
        self.timers.set(Timer::Open, self.now + self.config.request_timeout);
        let connection_id = negotiated.map(|negotiated| negotiated.connection_id);
        self.phase = Phase::Opening { link, transport, connection_id, attempt };
    }

    pub(super) fn handle_opened(&mut self, opened: LinkId) {
        let Phase::Opening { link, connection_id, .. } = &mut self.phase else { return };
        if *link != opened {
            return;
        }
        let connection_id = connection_id.take();
        let request = HandshakeRequest { encoding: self.config.encoding, version: protocol::VERSION };
        self.out.push_back(Output::Handshake(opened, request));
        self.timers.stop_all();
        self.timers.set(Timer::Handshake, self.now + self.config.handshake_timeout);
        self.phase = Phase::Handshaking { link: opened, connection_id };
    }

    pub(super) fn handle_handshake(
        &mut self,
        answered: LinkId,
        response: Result<HandshakeResponse, ProtocolError>,
    ) {
        let Phase::Handshaking { link, connection_id } = &mut self.phase else { return };
        if *link != answered {
            return;
        }
        match response {
            Ok(HandshakeResponse { error: None }) => {
                let connection_id = connection_id.take();
                self.timers.stop_all();
                self.timers.set(Timer::ServerTimeout, self.now + self.config.server_timeout);
                self.phase = Phase::Connected { link: answered };
                // At once, so that the server's timeout has something to run from.
                self.transmit(answered, HubMessage::Ping);
                self.change_state(ConnectionState::Connected, Cause::Established { connection_id });
            }
            Ok(HandshakeResponse { error: Some(text) }) => {
                self.fail(Error::new(ErrorKind::Refused, format!("Server returned handshake error: {text}")));
            }
            Err(error) => self.fail(Error::from(error).in_context("Error parsing handshake response: ")),
        }
    }

    pub(super) fn handle_malformed(&mut self, link: LinkId, error: ProtocolError) {
        if self.phase.link() == Some(link) && !matches!(self.phase, Phase::Closing { .. }) {
            self.fail(error.into());
        }
    }

    pub(super) fn server_closed(&mut self, close: Close) {
        match close.error {
            None => self.disconnect(Cause::ServerClosed { allow_reconnect: close.allow_reconnect }),
            Some(text) => {
                self.fail(Error::new(
                    ErrorKind::Refused,
                    format!("Server returned an error on close: {text}"),
                ));
            }
        }
    }

    pub(super) fn handle_closed(&mut self, closed: LinkId, result: Result<(), RequestFailure>) {
        if self.phase.link() != Some(closed) {
            return;
        }
        let error = match result {
            Ok(()) => Error::new(ErrorKind::Network, "The server closed the transport."),
            Err(failure) => failure.into_error(),
        };
        match std::mem::replace(&mut self.phase, Phase::Disconnected) {
            Phase::Opening { transport, mut attempt, .. } => {
                attempt.failed.push((transport, error));
                self.timers.stop_all();
                if self.config.skip_negotiation {
                    let (_, error) = attempt.failed.remove(0);
                    return self.fail(error);
                }
                // The id is spent on the transport that failed: the next one needs a new negotiation.
                self.negotiate(attempt);
            }
            Phase::Closing { .. } => {
                self.timers.stop_all();
                self.change_state(ConnectionState::Disconnected, Cause::Requested);
            }
            _ => {
                self.timers.stop_all();
                self.end_calls(Some(&error));
                self.change_state(ConnectionState::Disconnected, Cause::Failed(error));
            }
        }
    }

    pub(super) fn handle_timer(&mut self, timer: Timer) {
        let text = match timer {
            Timer::KeepAlive => {
                if let Some(link) = self.phase.connected() {
                    self.transmit(link, HubMessage::Ping);
                }
                return;
            }
            // The transport does not close: leave it behind.
            Timer::Close => return self.disconnect(Cause::Requested),
            Timer::ServerTimeout => "Server timeout elapsed without receiving a message from the server.",
            Timer::Handshake => "The server did not answer the handshake in time.",
            Timer::Open => {
                if let Phase::Opening { link, .. } = self.phase {
                    self.out.push_back(Output::Shut(link));
                    let error = RequestFailure::Network("the transport did not open in time".into());
                    self.handle_closed(link, Err(error));
                }
                return;
            }
            Timer::Request => match self.phase {
                Phase::Token { .. } => "The access token factory did not answer in time.",
                _ => "The server did not answer the negotiation in time.",
            },
        };
        self.fail(Error::new(ErrorKind::Timeout, text));
    }

    fn fail(&mut self, error: Error) {
        self.disconnect(Cause::Failed(error));
    }

    /// Ends everything at once.
    fn disconnect(&mut self, cause: Cause) {
        self.timers.stop_all();
        if let Some(link) = self.phase.link() {
            self.out.push_back(Output::Shut(link));
        }
        self.phase = Phase::Disconnected;
        self.end_calls(match &cause {
            Cause::Failed(error) => Some(error),
            _ => None,
        });
        self.change_state(ConnectionState::Disconnected, cause);
    }

    fn end_calls(&mut self, reason: Option<&Error>) {
        self.replies.clear();
        let mut events = Vec::new();
        self.calls.lose_all(reason, &mut events);
        self.out.extend(events.into_iter().map(Output::Event));
    }

    fn change_state(&mut self, state: ConnectionState, cause: Cause) {
        self.event(Event::StateChanged { state, cause });
    }

    fn take_request(&mut self) -> RequestId {
        self.last_request += 1;
        self.timers.stop_all();
        self.timers.set(Timer::Request, self.now + self.config.request_timeout);
        RequestId(self.last_request)
    }
}
