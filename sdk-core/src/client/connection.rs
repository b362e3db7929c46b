//! How a connection is made and ends: the only file that changes the phase.
//!
//! ```text
//! Disconnected -> Token -> Negotiating -> Opening -> Handshaking -> Connected
//!       ^           |  ^________|  ^__________|           |             |
//!       |           |   redirect     next transport       |             |
//!       '-----------'-----------'----------'--------------'- Closing <--'
//! ```
//! With stateful reconnect a lost link leads from Connected to Resuming, once, and from there back to Connected: the
//! application sees nothing of it but [`Event::Resumed`]. If that fails another connection is made from the beginning,
//! once, with the state Reconnecting.
//!
//! Every arrow back to Disconnected carries its cause. Once a link is shut, input of it is ignored.

use std::time::Duration;

use super::io::{Event, HttpRequest, LinkId, LinkRequest, Output, RequestFailure, RequestId};
use super::state::{Cause, ConnectionState};
use super::stateful::Stateful;
use super::timers::Timer;
use super::{Client, Misuse, url};
use crate::protocol::{
    self, Close, HandshakeRequest, HandshakeResponse, HubMessage, NegotiateResponse, Negotiated,
    OpaquePayload, ProtocolError, Redirect, Transport,
};
use crate::{Error, ErrorKind};

/// A server that takes every connection and drops it must not be called for ever: so many in a row may last shorter.
const SHORT_LIVED: u8 = 3;
const LASTING: Duration = Duration::from_secs(5);
/// How long to wait after a refresh that failed.
const REFRESH_AGAIN: Duration = Duration::from_secs(60);

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
        negotiated: Option<Negotiated>,
        attempt: Attempt,
    },
    /// The handshake response.
    Handshaking {
        link: LinkId,
        negotiated: Option<Negotiated>,
    },
    Connected {
        link: LinkId,
    },
    /// Another transport for the same connection, after the link was lost with that error.
    Resuming {
        step: ResumeStep,
        lost: Error,
    },
    /// The transport to close, after `Stop`.
    Closing {
        link: LinkId,
    },
}

/// How far a lost link is replaced.
#[derive(Debug)]
pub(super) enum ResumeStep {
    Token(RequestId),
    Opening(LinkId),
}

/// What is known of a connection once it is established.
#[derive(Debug, Default)]
pub(super) struct Established {
    /// The transport shows by itself that the server is there: neither pings nor timeouts.
    pub(super) inherent_keep_alive: bool,
    /// To open another transport for the same connection.
    url: String,
    /// The token that replaced the application's, after a redirect.
    redirect_token: Option<String>,
    /// The secret id of the connection.
    id: String,
}

/// How far the access token is refreshed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refreshing {
    Token(RequestId),
    Posted(RequestId),
}

/// What is known of one start, from the token to the handshake.
#[derive(Debug, Default)]
pub(super) struct Attempt {
    /// Where to negotiate: the configured address, or where the server redirected to.
    url: String,
    token: Option<String>,
    /// The token is the server's, from a redirect.
    redirect_token: bool,
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
            Self::Connected { .. } | Self::Resuming { .. } => ConnectionState::Connected,
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
            | Self::Resuming { step: ResumeStep::Opening(link), .. }
            | Self::Closing { link } => Some(*link),
            Self::Disconnected | Self::Token { .. } | Self::Negotiating { .. } | Self::Resuming { .. } => {
                None
            }
        }
    }
}

impl<P: OpaquePayload> Client<P> {
    pub(super) fn start(&mut self) -> Result<(), Misuse> {
        if !matches!(self.phase, Phase::Disconnected) {
            return Err(Misuse::NotDisconnected(self.state()));
        }
        if self.config.skip_negotiation && self.config.transports != [Transport::WebSockets] {
            return Err(Misuse::SkipNegotiation);
        }
        self.change_state(ConnectionState::Connecting, Cause::Requested);
        self.make_connection();
        Ok(())
    }

    /// From the original address and token, whatever redirects there were before.
    fn make_connection(&mut self) {
        let attempt = Attempt { url: self.config.url.clone(), ..Attempt::default() };
        if self.config.has_token_factory {
            let request = self.take_request();
            self.out.push_back(Output::Token(request));
            self.phase = Phase::Token { request, attempt };
        } else {
            self.begin(attempt);
        }
    }

    /// What was lost could not be resumed: makes another connection, once. It knows nothing of the calls of the old one.
    fn reconnect(&mut self, lost: Error) {
        let lasted = self.now.since(self.connected_at) >= LASTING;
        self.short_lived = if lasted { 0 } else { self.short_lived.saturating_add(1) };
        if self.short_lived > SHORT_LIVED {
            return self.fail(lost);
        }
        self.timers.stop_all();
        self.end_calls(Some(&lost));
        self.reconnecting = true;
        self.change_state(ConnectionState::Reconnecting, Cause::Failed(lost));
        self.make_connection();
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
            _ => self.disconnect(Cause::Requested),
        }
    }

    pub(super) fn handle_token(&mut self, answered: RequestId, token: Result<Option<String>, String>) {
        let token = token.map_err(|reason| {
            Error::new(ErrorKind::Refused, format!("The access token factory failed: {reason}"))
        });
        match &mut self.phase {
            Phase::Token { request, attempt } if *request == answered => match token {
                Ok(token) => {
                    let attempt = Attempt { token, ..std::mem::take(attempt) };
                    self.begin(attempt);
                }
                Err(error) => self.fail(error),
            },
            Phase::Resuming { step: ResumeStep::Token(request), lost } if *request == answered => {
                let lost = lost.clone();
                match token {
                    Ok(token) => self.open_again(token, lost),
                    Err(_) => self.reconnect(lost),
                }
            }
            Phase::Connected { .. } if self.refreshing == Some(Refreshing::Token(answered)) => match token {
                Ok(token) => self.post_refresh(token),
                Err(error) => self.refresh_failed(error),
            },
            _ => {}
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
        let http = HttpRequest {
            url: url::negotiate(&attempt.url, self.config.stateful_reconnect.is_some()),
            token: attempt.token.clone(),
        };
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
                    attempt.redirect_token = true;
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
        if negotiated.stateful_reconnect && self.config.stateful_reconnect.is_none() {
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
        self.established = Established {
            inherent_keep_alive: transport == Transport::LongPolling,
            url: url.clone(),
            redirect_token: attempt.token.clone().filter(|_| attempt.redirect_token),
            id: negotiated
                .as_ref()
                .map(|negotiated| negotiated.transport_id().to_owned())
                .unwrap_or_default(),
        };
        // Only a WebSocket can be replaced by another.
        let negotiated = negotiated.map(|negotiated| Negotiated {
            stateful_reconnect: negotiated.stateful_reconnect && transport == Transport::WebSockets,
            ..negotiated
        });
        let token = attempt.token.clone();
        self.out.push_back(Output::Open(link, LinkRequest { transport, url, token, resumes: false }));
        self.timers.stop_all();
        self.timers.set(Timer::Open, self.now + self.config.request_timeout);
        self.phase = Phase::Opening { link, transport, negotiated, attempt };
    }

    pub(super) fn handle_opened(&mut self, opened: LinkId) {
        match &mut self.phase {
            Phase::Opening { link, negotiated, .. } if *link == opened => {
                let negotiated = negotiated.take();
                let stateful = negotiated.as_ref().is_some_and(|negotiated| negotiated.stateful_reconnect);
                let version = if stateful { protocol::VERSION_STATEFUL } else { protocol::VERSION };
                let request = HandshakeRequest { encoding: self.config.encoding, version };
                self.out.push_back(Output::Handshake(opened, request));
                self.timers.stop_all();
                self.timers.set(Timer::Handshake, self.now + self.config.handshake_timeout);
                self.phase = Phase::Handshaking { link: opened, negotiated };
            }
            Phase::Resuming { step: ResumeStep::Opening(link), .. } if *link == opened => {
                self.resumed(opened)
            }
            _ => {}
        }
    }

    /// The link was lost in a way that another one may repair: nobody said goodbye.
    fn resume(&mut self, lost: Error) {
        self.timers.stop_all();
        self.refreshing = None;
        if self.stateful.as_mut().is_none_or(|stateful| !stateful.may_resume()) {
            return self.fail(lost);
        }
        match self.established.redirect_token.clone() {
            None if self.config.has_token_factory => {
                let request = self.take_request();
                self.out.push_back(Output::Token(request));
                self.phase = Phase::Resuming { step: ResumeStep::Token(request), lost };
            }
            token => self.open_again(token, lost),
        }
    }

    fn open_again(&mut self, token: Option<String>, lost: Error) {
        self.last_link += 1;
        let link = LinkId(self.last_link);
        let url = self.established.url.clone();
        let request = LinkRequest { transport: Transport::WebSockets, url, token, resumes: true };
        self.out.push_back(Output::Open(link, request));
        self.timers.stop_all();
        self.timers.set(Timer::Open, self.now + self.config.request_timeout);
        self.phase = Phase::Resuming { step: ResumeStep::Opening(link), lost };
    }

    fn resumed(&mut self, link: LinkId) {
        self.timers.stop_all();
        self.phase = Phase::Connected { link };
        self.heard();
        self.timers.set(Timer::KeepAlive, self.now + self.config.keep_alive_interval);
        let messages = self.stateful.as_mut().map(Stateful::resume).unwrap_or_default();
        self.out.extend(messages.into_iter().map(|message| Output::Transmit(link, message)));
        self.event(Event::Resumed);
    }

    pub(super) fn handle_handshake(
        &mut self,
        answered: LinkId,
        response: Result<HandshakeResponse, ProtocolError>,
    ) {
        let Phase::Handshaking { link, negotiated } = &mut self.phase else { return };
        if *link != answered {
            return;
        }
        match response {
            Ok(HandshakeResponse { error: None }) => {
                let negotiated = negotiated.take().unwrap_or_default();
                let limit = self.config.stateful_reconnect.filter(|_| negotiated.stateful_reconnect);
                self.stateful = limit.map(Stateful::new);
                self.timers.stop_all();
                self.phase = Phase::Connected { link: answered };
                self.reconnecting = false;
                self.connected_at = self.now;
                self.heard();
                if !self.established.inherent_keep_alive {
                    // At once, so that the server's timeout has something to run from.
                    self.send(HubMessage::Ping);
                }
                self.schedule_refresh(negotiated.token_lifetime_seconds);
                let connection_id = Some(negotiated.connection_id).filter(|id| !id.is_empty());
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
        let orderly = result.is_ok();
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
            // A transport that the server closed in order is not to be replaced.
            Phase::Connected { .. }
                if self.stateful.is_some() && !orderly && error.kind() == ErrorKind::Network =>
            {
                self.resume(error);
            }
            Phase::Resuming { lost, .. } => self.reconnect(lost),
            _ => self.fail(error),
        }
    }

    /// The server said how long the token is valid.
    fn schedule_refresh(&mut self, lifetime_seconds: Option<u64>) {
        const MARGIN: u64 = 5 * 60;
        self.timers.stop(Timer::Refresh);
        let wanted =
            self.config.token_refresh && self.config.has_token_factory && !self.established.id.is_empty();
        if let Some(lifetime) = lifetime_seconds.filter(|lifetime| wanted && *lifetime > 0) {
            let after = if lifetime < 2 * MARGIN { lifetime / 2 } else { lifetime - MARGIN };
            self.timers.set(Timer::Refresh, self.now + Duration::from_secs(after.max(1)));
        }
    }

    fn post_refresh(&mut self, token: Option<String>) {
        let request = self.next_request();
        self.timers.set(Timer::Request, self.now + self.config.request_timeout);
        // The application's own endpoint, even after a redirect.
        let url = url::refresh(&self.config.url, &self.established.id);
        self.out.push_back(Output::Refresh(request, HttpRequest { url, token }));
        self.refreshing = Some(Refreshing::Posted(request));
    }

    pub(super) fn handle_refreshed(
        &mut self,
        answered: RequestId,
        result: Result<Option<u64>, RequestFailure>,
    ) {
        if self.refreshing != Some(Refreshing::Posted(answered)) {
            return;
        }
        match result {
            Ok(lifetime) => {
                self.refreshing = None;
                self.timers.stop(Timer::Request);
                self.schedule_refresh(lifetime);
                self.event(Event::TokenRefreshed(Ok(())));
            }
            Err(failure) => self.refresh_failed(failure.into_error()),
        }
    }

    /// Tried again later: the token may still be valid for minutes.
    fn refresh_failed(&mut self, error: Error) {
        self.refreshing = None;
        self.timers.stop(Timer::Request);
        self.timers.set(Timer::Refresh, self.now + REFRESH_AGAIN);
        self.event(Event::TokenRefreshed(Err(error)));
    }

    pub(super) fn handle_timer(&mut self, timer: Timer) {
        let text = match timer {
            Timer::KeepAlive => return self.send(HubMessage::Ping),
            Timer::Acknowledge => {
                if let Some(message) = self.stateful.as_mut().and_then(Stateful::acknowledgement) {
                    self.send(message);
                }
                return;
            }
            Timer::Refresh => {
                let request = self.next_request();
                self.timers.set(Timer::Request, self.now + self.config.request_timeout);
                self.out.push_back(Output::Token(request));
                self.refreshing = Some(Refreshing::Token(request));
                return;
            }
            // The transport does not close: leave it behind.
            Timer::Close => return self.disconnect(Cause::Requested),
            Timer::ServerTimeout => {
                let text = "Server timeout elapsed without receiving a message from the server.";
                let error = Error::new(ErrorKind::Timeout, text);
                if let (Some(link), true) = (self.phase.connected(), self.stateful.is_some()) {
                    self.out.push_back(Output::Abandon(link));
                    return self.resume(error);
                }
                return self.fail(error);
            }
            Timer::Handshake => "The server did not answer the handshake in time.",
            Timer::Open => {
                if let Some(link) = self.phase.link() {
                    self.out.push_back(Output::Abandon(link));
                    let error = RequestFailure::Network("the transport did not open in time".into());
                    self.handle_closed(link, Err(error));
                }
                return;
            }
            Timer::Request if self.refreshing.is_some() => {
                let text = "The access token could not be refreshed in time.";
                return self.refresh_failed(Error::new(ErrorKind::Timeout, text));
            }
            Timer::Request => match &self.phase {
                Phase::Resuming { lost, .. } => {
                    let lost = lost.clone();
                    return self.reconnect(lost);
                }
                Phase::Token { .. } => "The access token factory did not answer in time.",
                _ => "The server did not answer the negotiation in time.",
            },
        };
        self.fail(Error::new(ErrorKind::Timeout, text));
    }

    pub(super) fn fail(&mut self, error: Error) {
        self.disconnect(Cause::Failed(error));
    }

    /// Ends everything at once.
    fn disconnect(&mut self, cause: Cause) {
        self.timers.stop_all();
        if let Some(link) = self.phase.link() {
            self.out.push_back(match self.phase {
                // It was shut already, and does not close.
                Phase::Closing { .. } => Output::Abandon(link),
                _ => Output::Shut(link),
            });
        }
        self.phase = Phase::Disconnected;
        self.reconnecting = false;
        self.end_calls(match &cause {
            Cause::Failed(error) => Some(error),
            _ => None,
        });
        self.change_state(ConnectionState::Disconnected, cause);
    }

    fn end_calls(&mut self, reason: Option<&Error>) {
        self.stateful = None;
        self.refreshing = None;
        self.replies.clear();
        let mut events = Vec::new();
        self.calls.lose_all(reason, &mut events);
        self.out.extend(events.into_iter().map(Output::Event));
    }

    fn change_state(&mut self, state: ConnectionState, cause: Cause) {
        self.event(Event::StateChanged { state, cause });
    }

    fn take_request(&mut self) -> RequestId {
        self.timers.stop_all();
        self.timers.set(Timer::Request, self.now + self.config.request_timeout);
        self.next_request()
    }

    const fn next_request(&mut self) -> RequestId {
        self.last_request += 1;
        RequestId(self.last_request)
    }
}
