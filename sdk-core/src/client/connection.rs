//! How a connection is made and ends: the only file that changes the phase.
//!
//! ```text
//! Disconnected -> Token -> Negotiating -> Opening -> Handshaking -> Connected
//!                 ^ |  ^________|  ^__________|           |             |
//!                 | |   redirect     next transport       |             |
//!                 | v                                     |             |
//!                 Waiting <-------------------------------'-------------'
//! ```
//! From Waiting the way goes back to Token when the policy's delay is over. From every phase it goes to Disconnected: on
//! request, when the policy gives up, and when the server says that the client must not come back. Each of those
//! changes carries its cause. A first start also ends where trying again cannot help: [`Fault::Final`].
//!
//! With stateful reconnect a lost link leads from Connected to Resuming, once, and from there back to Connected: the
//! application sees nothing of it but [`Event::Resumed`]. If that fails the connection is lost as any other.
//!
//! Once a link is shut, input of it is ignored.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use super::io::{Event, HttpRequest, LinkId, LinkRequest, Output, RequestFailure, RequestId};
use super::outbox::Memory;
use super::refresh::Refreshing;
use super::retry::{Decision, RetryContext};
use super::state::{Cause, ConnectionState};
use super::stateful::Stateful;
use super::timers::Timer;
use super::{Client, Misuse, url};
use crate::protocol::delivery::is_client_id;
use crate::protocol::{
    self, Close, Extensions, Feature, HandshakeRequest, HandshakeResponse, HubMessage, NegotiateResponse,
    Negotiated, OpaquePayload, ProtocolError, Redirect, Transport,
};
use crate::text::joined;
use crate::{Error, ErrorKind, Time};

const FAILED_NEGOTIATION: &str = "Failed to complete negotiation with the server: ";
const REFUSED_NEGOTIATION: &str = "Failed to complete negotiation with the server: Error: ";
const NO_HUB: &str = " Either this is not a SignalR endpoint or there is a proxy blocking the connection.";

/// The text of official servers whose patience for the handshake has ended.
const TOO_SLOW: &str = "Handshake was canceled.";
/// A server that takes every connection and drops it must not be called without a pause, whatever the policy says: from
/// the second connection in a row that was lost sooner than [`lasting`](super::Config::lasting), half of the delay that doubles from one second is certain. In milliseconds, as the next.
const PAUSE: u64 = 1_000;
/// The longest pause, and the shortest one while the platform says that it is in vain.
const LONG_PAUSE: u64 = 30_000;
/// A server that asks for more than this has most likely taken one unit for another.
const LONGEST_HINT: Duration = Duration::from_secs(60 * 60);
/// How long a server remembers calls that does not say.
const DEDUPE_WINDOW: Duration = Duration::from_secs(60);
/// With a network that has just come back all its clients come back: they are spread over this time.
const HURRY: Duration = Duration::from_secs(1);

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
        negotiated: Option<Box<Negotiated>>,
        attempt: Attempt,
    },
    /// The handshake response.
    Handshaking {
        link: LinkId,
        negotiated: Option<Box<Negotiated>>,
    },
    Connected {
        link: LinkId,
    },
    /// The time of the next attempt, or a custom policy that is to say when that is.
    Waiting {
        asked: Option<RequestId>,
        /// The server has said when: the platform does not know better.
        hinted: bool,
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
    pub(super) is_websocket: bool,
    /// To open another transport for the same connection.
    url: String,
    /// The token that replaced the application's, after a redirect.
    redirect_token: Option<String>,
    /// The secret id of the connection.
    pub(super) id: String,
    /// The public one.
    public_id: Option<String>,
    /// What the server can besides SignalR.
    pub(super) features: Vec<Feature>,
    /// What the server remembers of named calls, if it does.
    pub(super) memory: Option<Memory>,
}

/// Attempts that failed.
#[derive(Debug)]
pub(super) struct Retrying {
    /// The retries among them: neither the first start nor the loss of a connection is one.
    retries: u32,
    since: Time,
    reason: Error,
}

/// Whether it helps to try again a first start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It may: the network, the time, a server that is busy or not there yet.
    Passing,
    /// It does not: the address, the token or the configuration is wrong. Once a connection was established all of them
    /// have proved to be right, so that this is passing too then.
    Final,
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

impl Fault {
    /// Statuses of the client's making do not change by themselves, except those that speak of time (RFC 9110,
    /// section 15.5; RFC 6585, section 4; RFC 8470, section 5.2).
    fn of(failure: &RequestFailure) -> Self {
        match failure {
            RequestFailure::Status { code: 408 | 425 | 429, .. } => Self::Passing,
            RequestFailure::Status { code: 400..500, .. } | RequestFailure::Protocol(_) => Self::Final,
            RequestFailure::Status { .. } | RequestFailure::Network(_) | RequestFailure::Closed { .. } => {
                Self::Passing
            }
        }
    }
}

impl Phase {
    pub(super) const fn state(&self) -> ConnectionState {
        match self {
            Self::Disconnected => ConnectionState::Disconnected,
            Self::Token { .. }
            | Self::Negotiating { .. }
            | Self::Opening { .. }
            | Self::Handshaking { .. }
            | Self::Waiting { .. } => ConnectionState::Connecting,
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
            Self::Disconnected
            | Self::Token { .. }
            | Self::Negotiating { .. }
            | Self::Waiting { .. }
            | Self::Resuming { .. } => None,
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
        self.retrying = None;
        self.short_lived = 0;
        self.change_state(ConnectionState::Connecting, Cause::Requested);
        self.make_connection();
        Ok(())
    }

    /// From the original address and token, whatever redirects there were before.
    fn make_connection(&mut self) {
        self.attempted_at = self.now;
        let attempt = Attempt { url: self.config.url.clone(), ..Attempt::default() };
        if self.config.has_token_factory {
            let request = self.take_request();
            self.out.push_back(Output::Token(request));
            self.phase = Phase::Token { request, attempt };
        } else {
            self.begin(attempt);
        }
    }

    /// The connection is lost, and cannot be resumed. Makes another if the policy agrees; `hint` is when the server
    /// wants that.
    fn lost(&mut self, lost: Error, hint: Option<Duration>) {
        self.lost_because(lost.clone(), Cause::Failed(lost), hint);
    }

    fn lost_because(&mut self, lost: Error, cause: Cause, hint: Option<Duration>) {
        let lasted = self.now.since(self.connected_at) >= self.config.lasting;
        self.short_lived = if lasted { 0 } else { self.short_lived.saturating_add(1) };
        self.retrying = Some(Retrying { retries: 0, since: self.now, reason: lost.clone() });
        let decision = self.decide(hint);
        if decision == Decision::Stop {
            return self.disconnect(cause);
        }
        self.leave_link();
        self.end_connection();
        // A verdict: not the network's, and not of a server that has something else to do.
        if matches!(lost.kind(), ErrorKind::Refused | ErrorKind::Protocol | ErrorKind::Overflow) {
            self.find_culprit(&lost);
        }
        self.lose_calls(Some(&lost), true);
        self.reconnecting = true;
        self.change_state(ConnectionState::Reconnecting, cause);
        self.follow(decision, hint.is_some());
    }

    /// An attempt failed.
    fn attempt_failed(&mut self, error: Error, fault: Fault, hint: Option<Duration>) {
        let first_start = !self.reconnecting;
        if first_start && (fault == Fault::Final || !self.config.retry.retries_first_start()) {
            return self.disconnect(Cause::Failed(error));
        }
        self.retrying = Some(match self.retrying.take() {
            None => Retrying { retries: 0, since: self.now, reason: error },
            Some(before) => Retrying { retries: before.retries.saturating_add(1), reason: error, ..before },
        });
        self.leave_link();
        self.timers.stop_connection();
        let decision = self.decide(hint);
        self.follow(decision, hint.is_some());
    }

    /// What the policy says. When the server says when, that wins, unless the policy has given up.
    fn decide(&mut self, hint: Option<Duration>) -> Decision {
        let Some(context) = self.retry_context() else { return Decision::Stop };
        match (self.config.retry.decide(&context, &mut self.random), hint) {
            (Decision::After(_) | Decision::Ask, Some(hint)) => Decision::After(hint),
            (decision, _) => decision,
        }
    }

    fn retry_context(&self) -> Option<RetryContext> {
        self.retrying.as_ref().map(|retrying| RetryContext {
            previous_retry_count: retrying.retries,
            elapsed: self.now.since(retrying.since),
            reason: retrying.reason.clone(),
        })
    }

    fn follow(&mut self, decision: Decision, hinted: bool) {
        match (decision, self.retry_context()) {
            (Decision::After(delay), Some(context)) => {
                let delay = self.bounded(delay, hinted);
                self.set_timer(Timer::Retry, delay);
                self.phase = Phase::Waiting { asked: None, hinted };
                self.event(Event::RetryScheduled {
                    previous_retry_count: context.previous_retry_count,
                    delay,
                    reason: context.reason,
                });
            }
            (Decision::Ask, Some(context)) => {
                let request = self.next_request();
                self.set_timer(Timer::Request, self.config.request_timeout);
                self.phase = Phase::Waiting { asked: Some(request), hinted };
                self.out.push_back(Output::Retry(request, context));
            }
            (Decision::Stop, Some(context)) => self.disconnect(Cause::Failed(context.reason)),
            (_, None) => self.disconnect(Cause::Requested),
        }
    }

    /// What the policy or the server says, but not so that a server is called without a pause, or, for the policy,
    /// against the platform's advice.
    fn bounded(&mut self, delay: Duration, hinted: bool) -> Duration {
        let mut delay = if hinted { delay.min(LONGEST_HINT) } else { delay };
        // A page that comes back hears that it does before it hears that its connection is gone.
        if !hinted && self.hints.take_doubt(self.now) {
            delay = delay.min(self.random.up_to(HURRY));
        }
        let mut shortest = Duration::ZERO;
        if let Some(doublings) = self.short_lived.checked_sub(2) {
            let half = (PAUSE << doublings.min(5)).min(LONG_PAUSE) / 2;
            shortest = Duration::from_millis(half + self.random.up_to_millis(half));
        }
        if self.hints.discourage() && !hinted {
            shortest = Duration::from_millis(LONG_PAUSE);
        }
        delay.max(shortest)
    }

    pub(super) fn handle_retry_after(&mut self, answered: RequestId, delay: Option<Duration>) {
        if !matches!(self.phase, Phase::Waiting { asked: Some(asked), .. } if asked == answered) {
            return;
        }
        self.timers.stop_connection();
        self.follow(delay.map_or(Decision::Stop, Decision::After), false);
    }

    /// There is reason to believe that an attempt would succeed now.
    pub(super) fn hurry(&mut self) {
        let Some(retry) = self.timers.deadline(Timer::Retry) else { return };
        if matches!(self.phase, Phase::Waiting { hinted: false, .. }) && !self.hints.discourage() {
            let soon = self.now + self.random.up_to(HURRY);
            self.timers.set(Timer::Retry, retry.min(soon));
        }
    }

    pub(super) fn stop(&mut self) {
        match self.phase {
            Phase::Disconnected | Phase::Closing { .. } => {}
            Phase::Connected { link } => {
                self.out.push_back(Output::Transmit(link, HubMessage::Close(Close::default())));
                self.out.push_back(Output::Shut(link));
                self.end_connection();
                self.set_timer(Timer::Close, self.config.close_timeout);
                self.phase = Phase::Closing { link };
                self.joins.clear();
                self.lose_calls(None, false);
                self.change_state(ConnectionState::Disconnecting, Cause::Requested);
            }
            _ => {
                self.joins.clear();
                self.disconnect(Cause::Requested);
            }
        }
    }

    pub(super) fn handle_token(&mut self, answered: RequestId, token: Result<Option<String>, String>) {
        let token = token.map_err(|reason| {
            Error::new(ErrorKind::Refused, joined(&["The access token factory failed: ", &reason]))
        });
        match &mut self.phase {
            Phase::Token { request, attempt } if *request == answered => match token {
                Ok(token) => {
                    let attempt = Attempt { token, ..core::mem::take(attempt) };
                    self.begin(attempt);
                }
                // It asks a server, as a rule, which may be as hard to reach as this one.
                Err(error) => self.attempt_failed(error, Fault::Passing, None),
            },
            Phase::Resuming { step: ResumeStep::Token(request), lost } if *request == answered => {
                let lost = lost.clone();
                match token {
                    Ok(token) => self.open_again(token, lost),
                    Err(_) => self.lost(lost, None),
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
        let url = url::negotiate(&attempt.url, self.config.stateful_reconnect.is_some());
        let http = HttpRequest {
            url: if self.config.announce { url::announced(&url, None) } else { url },
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
        let mut attempt = core::mem::take(attempt);
        match response {
            Ok(NegotiateResponse::Accepted(negotiated)) => {
                self.choose_transport(attempt, Box::new(negotiated))
            }
            Ok(NegotiateResponse::Redirect(Redirect { url, access_token })) => {
                if attempt.redirects >= self.config.max_redirects {
                    let error = Error::new(ErrorKind::Protocol, "Negotiate redirection limit exceeded.");
                    return self.attempt_failed(error, Fault::Final, None);
                }
                attempt.redirects += 1;
                attempt.url = url;
                if access_token.is_some() {
                    attempt.token = access_token;
                    attempt.redirect_token = true;
                }
                self.negotiate(attempt);
            }
            Ok(NegotiateResponse::Refused(text)) => {
                self.attempt_failed(Error::new(ErrorKind::Refused, text), Fault::Final, None);
            }
            Err(failure) => {
                let (fault, hint) = (Fault::of(&failure), failure.retry_after());
                // The official client's texts.
                let (context, advice) = match &failure {
                    RequestFailure::Status { code: 404, .. } => (REFUSED_NEGOTIATION, NO_HUB),
                    RequestFailure::Status { .. } => (REFUSED_NEGOTIATION, ""),
                    _ => (FAILED_NEGOTIATION, ""),
                };
                let error = failure.into_error();
                let error = Error::new(error.kind(), joined(&[context, error.detail(), advice]));
                self.attempt_failed(error, fault, hint);
            }
        }
    }

    /// Takes the first transport, in the server's order, that both ends can use and that has not failed.
    fn choose_transport(&mut self, attempt: Attempt, negotiated: Box<Negotiated>) {
        if negotiated.stateful_reconnect && self.config.stateful_reconnect.is_none() {
            let text = "Client didn't negotiate Stateful Reconnect but the server did.";
            return self.attempt_failed(Error::new(ErrorKind::Protocol, text), Fault::Final, None);
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
        let (error, fault) = match attempt.failed.last() {
            None => {
                let text = "None of the transports supported by the client are supported by the server.";
                (Error::new(ErrorKind::Refused, text), Fault::Final)
            }
            Some((_, last)) => {
                let kind = last.kind();
                let text = "Unable to connect to the server with any of the available transports. ";
                let mut text = String::from(text);
                for (index, (transport, error)) in attempt.failed.iter().enumerate() {
                    let separator = if index == 0 { "" } else { "; " };
                    text += &joined(&[separator, transport.name(), " failed: ", error.detail()]);
                }
                (Error::new(kind, text), Fault::Passing)
            }
        };
        self.attempt_failed(error, fault, None);
    }

    fn open(&mut self, attempt: Attempt, transport: Transport, mut negotiated: Option<Box<Negotiated>>) {
        self.last_link += 1;
        let link = LinkId(self.last_link);
        let url = match &negotiated {
            Some(negotiated) => url::connect(&attempt.url, negotiated.transport_id()),
            None => attempt.url.clone(),
        };
        let url = if self.config.announce { url::announced(&url, self.session_id()) } else { url };
        self.established = Established {
            inherent_keep_alive: transport == Transport::LongPolling,
            is_websocket: transport == Transport::WebSockets,
            public_id: self.established.public_id.take(),
            features: Vec::new(),
            memory: None,
            url: url.clone(),
            redirect_token: attempt.token.clone().filter(|_| attempt.redirect_token),
            id: negotiated
                .as_ref()
                .map(|negotiated| negotiated.transport_id().to_owned())
                .unwrap_or_default(),
        };
        // Only a WebSocket can be replaced by another.
        if let Some(negotiated) = &mut negotiated {
            negotiated.stateful_reconnect &= transport == Transport::WebSockets;
        }
        let token = attempt.token.clone();
        self.out.push_back(Output::Open(link, LinkRequest { transport, url, token, resumes: false }));
        self.timers.stop_connection();
        self.set_timer(Timer::Open, self.config.request_timeout);
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
                self.timers.stop_connection();
                self.set_timer(Timer::Handshake, self.config.handshake_timeout);
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
        self.timers.stop_connection();
        self.refreshing = None;
        if self.stateful.as_mut().is_none_or(|stateful| !stateful.may_resume()) {
            return self.lost(lost, None);
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
        self.timers.stop_connection();
        self.set_timer(Timer::Open, self.config.request_timeout);
        self.phase = Phase::Resuming { step: ResumeStep::Opening(link), lost };
    }

    fn resumed(&mut self, link: LinkId) {
        self.timers.stop_connection();
        self.phase = Phase::Connected { link };
        self.heard();
        self.set_timer(Timer::KeepAlive, self.config.keep_alive_interval);
        if let Some(stateful) = &mut self.stateful {
            stateful.resume(|message| self.out.push_back(Output::Transmit(link, message)));
        }
        self.metrics.resumes += 1;
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
                self.timers.stop_connection();
                self.phase = Phase::Connected { link: answered };
                self.metrics.connections += 1;
                self.metrics.reconnections += u64::from(self.reconnecting);
                self.metrics.connect_latency = Some(self.now.since(self.attempted_at));
                self.reconnecting = false;
                self.retrying = None;
                self.connected_at = self.now;
                self.monitor.connected();
                self.heard();
                if !self.established.inherent_keep_alive {
                    // At once, so that the server's timeout has something to run from.
                    self.send(HubMessage::Ping);
                }
                self.schedule_refresh(negotiated.token_lifetime_seconds);
                let connection_id = Some(negotiated.connection_id).filter(|id| !id.is_empty());
                let previous_connection_id =
                    core::mem::replace(&mut self.established.public_id, connection_id.clone());
                let cause = Cause::Established { connection_id, previous_connection_id };
                let extensions = negotiated.extensions.filter(|_| self.config.announce);
                self.established.features =
                    extensions.as_ref().map(|extensions| extensions.features.clone()).unwrap_or_default();
                self.established.memory = self.memory(extensions);
                self.change_state(ConnectionState::Connected, cause);
                self.end_forgotten();
                self.rejoin();
            }
            Ok(HandshakeResponse { error: Some(text) }) => {
                // What servers say to a client that was too slow: the next time it may be faster.
                let fault = if text == TOO_SLOW { Fault::Passing } else { Fault::Final };
                let text = joined(&["Server returned handshake error: ", &text]);
                self.attempt_failed(Error::new(ErrorKind::Refused, text), fault, None);
            }
            Err(error) => {
                let error = Error::from(error).in_context("Error parsing handshake response: ");
                self.attempt_failed(error, Fault::Final, None);
            }
        }
    }

    /// The name under which the server keeps messages for this client: that of the store outlives the process.
    fn session_id(&self) -> Option<&str> {
        let own = self.config.session_id.as_deref().or(self.config.client_id.as_deref());
        Some(&*self.store_id).filter(|id| !id.is_empty()).or(own).filter(|id| is_client_id(id))
    }

    /// What the server remembers by the names of calls, if this client names them.
    fn memory(&self, extensions: Option<Extensions>) -> Option<Memory> {
        let extensions = extensions.filter(|extensions| extensions.has(Feature::Dedupe))?;
        let names = self.config.announce && self.config.client_id.is_some();
        let window = extensions.dedupe_window.unwrap_or(DEDUPE_WINDOW);
        extensions.epoch.filter(|_| names).map(|epoch| Memory { epoch: epoch.into(), window })
    }

    pub(super) fn handle_malformed(&mut self, link: LinkId, error: ProtocolError) {
        if self.phase.link() == Some(link) && !matches!(self.phase, Phase::Closing { .. }) {
            self.fail(error.into(), Fault::Final);
        }
    }

    pub(super) fn server_closed(&mut self, close: Close) {
        let error = close.error.map(|text| {
            Error::new(ErrorKind::Refused, joined(&["Server returned an error on close: ", &text]))
        });
        match (close.allow_reconnect, error) {
            (true, None) => {
                let cause = Cause::ServerClosed { allow_reconnect: true };
                let lost = Error::new(ErrorKind::Network, "The server closed the connection.");
                self.lost_because(lost, cause, close.retry_after);
            }
            (true, Some(error)) => self.lost(error, close.retry_after),
            (false, None) => self.disconnect(Cause::ServerClosed { allow_reconnect: false }),
            (false, Some(error)) => self.disconnect(Cause::Failed(error)),
        }
    }

    pub(super) fn handle_closed(&mut self, closed: LinkId, result: Result<(), RequestFailure>) {
        if self.phase.link() != Some(closed) {
            return;
        }
        let orderly = result.is_ok();
        let verdict = result.as_ref().is_err_and(RequestFailure::is_verdict);
        // Who has negotiated has the right address and token; a 404 then means another node, or one that restarted.
        let fault = match &result {
            Err(failure) if self.config.skip_negotiation => Fault::of(failure),
            _ => Fault::Passing,
        };
        let hint = result.as_ref().err().and_then(RequestFailure::retry_after);
        let error = match result {
            Ok(()) => Error::new(ErrorKind::Network, "The server closed the transport."),
            Err(failure) => failure.into_error(),
        };
        // It is gone by itself: nothing has to be shut.
        match core::mem::replace(&mut self.phase, Phase::Disconnected) {
            Phase::Opening { transport, mut attempt, .. } => {
                self.timers.stop_connection();
                if self.config.skip_negotiation {
                    return self.attempt_failed(error, fault, hint);
                }
                attempt.failed.push((transport, error));
                // The id is spent on the transport that failed: the next one needs a new negotiation.
                self.negotiate(attempt);
            }
            Phase::Closing { .. } => {
                self.timers.stop_connection();
                self.change_state(ConnectionState::Disconnected, Cause::Requested);
            }
            // A transport that the server closed in order is not to be replaced, nor one that it closed over something
            // it got: it would get that again.
            Phase::Connected { .. }
                if self.stateful.is_some() && !orderly && !verdict && error.kind() == ErrorKind::Network =>
            {
                self.resume(error);
            }
            Phase::Resuming { lost, .. } => self.lost(lost, None),
            Phase::Connected { .. } => {
                if verdict {
                    self.find_culprit(&error);
                }
                self.lost(error, None);
            }
            _ => self.attempt_failed(error, fault, hint),
        }
    }

    pub(super) fn handle_timer(&mut self, timer: Timer) {
        let text = match timer {
            Timer::KeepAlive => return self.send(HubMessage::Ping),
            Timer::Confirm => return self.send_acks(),
            Timer::Question => return self.questions_timed_out(),
            Timer::Acknowledge => {
                if let Some(message) = self.stateful.as_mut().and_then(Stateful::acknowledgement) {
                    self.send(message);
                }
                return;
            }
            Timer::Refresh => return self.begin_refresh(),
            // The transport does not close: leave it behind.
            Timer::Close => return self.disconnect(Cause::Requested),
            Timer::ServerTimeout | Timer::Liveness => {
                let text = match timer {
                    Timer::Liveness => "The server did not answer a ping in time.",
                    _ => "Server timeout elapsed without receiving a message from the server.",
                };
                let error = Error::new(ErrorKind::Timeout, text);
                if let Some(link) = self.phase.connected() {
                    // It would not answer a close handshake either.
                    self.out.push_back(Output::Abandon(link));
                    self.phase = Phase::Disconnected;
                    self.resume(error);
                }
                return;
            }
            Timer::Retry => {
                self.metrics.retries += 1;
                return self.make_connection();
            }
            Timer::Deadline => return self.expire_calls(),
            // Stopped by now: what waits is written again.
            Timer::Store => return,
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
                    return self.lost(lost, None);
                }
                // A policy that says nothing must not be the end of trying.
                Phase::Waiting { .. } => {
                    return self.follow(Decision::After(Duration::from_millis(LONG_PAUSE)), false);
                }
                Phase::Token { .. } => "The access token factory did not answer in time.",
                _ => "The server did not answer the negotiation in time.",
            },
        };
        self.fail(Error::new(ErrorKind::Timeout, text), Fault::Passing);
    }

    /// What there is of a connection cannot go on.
    pub(super) fn fail(&mut self, error: Error, fault: Fault) {
        match self.phase {
            Phase::Connected { .. } | Phase::Resuming { .. } => self.lost(error, None),
            Phase::Closing { .. } => self.disconnect(Cause::Requested),
            Phase::Disconnected => {}
            _ => self.attempt_failed(error, fault, None),
        }
    }

    /// Lets go of the link, if there is one that is not gone by itself.
    fn leave_link(&mut self) {
        if let Some(link) = self.phase.link() {
            self.out.push_back(match self.phase {
                // It was shut already, and does not close.
                Phase::Closing { .. } => Output::Abandon(link),
                _ => Output::Shut(link),
            });
        }
        self.phase = Phase::Disconnected;
    }

    /// Ends everything at once.
    fn disconnect(&mut self, cause: Cause) {
        // Its calls have ended by now; those made since then wait for the next start.
        let was_closing = matches!(self.phase, Phase::Closing { .. });
        self.leave_link();
        self.end_connection();
        self.reconnecting = false;
        self.retrying = None;
        self.established.public_id = None;
        let reason = match &cause {
            Cause::Failed(error) => Some(error),
            _ => None,
        };
        if !was_closing {
            self.lose_calls(reason, false);
        }
        self.change_state(ConnectionState::Disconnected, cause);
    }

    /// Forgets what belongs to one connection, except calls.
    fn end_connection(&mut self) {
        self.timers.stop_connection();
        self.stateful = None;
        self.refreshing = None;
        self.replies.clear();
        self.lose_deliveries();
        self.monitor.lost();
    }

    fn change_state(&mut self, state: ConnectionState, cause: Cause) {
        if state == ConnectionState::Disconnected {
            self.forget_objects();
        }
        self.event(Event::StateChanged { state, cause });
    }

    fn take_request(&mut self) -> RequestId {
        self.timers.stop_connection();
        self.set_timer(Timer::Request, self.config.request_timeout);
        self.next_request()
    }

    pub(super) const fn next_request(&mut self) -> RequestId {
        self.last_request += 1;
        RequestId(self.last_request)
    }
}
