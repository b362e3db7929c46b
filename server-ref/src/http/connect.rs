//! The requests that open a transport and those that use it.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::extract::ws::WebSocketUpgrade;
use axum::response::{IntoResponse, Response};
use bytestring::ByteString;
use http::request::Parts;
use http::{Method, StatusCode, header};
use hubwire::protocol::Transport as Kind;

use super::{HubRoute, QueryPairs, Shared, cors, method_not_allowed, shutting_down, text};
use crate::Principal;
use crate::admission::{Full, Permit};
use crate::connection::ConnectionTask;
use crate::identity::{Announcement, Identity};
use crate::negotiate::{Link, OpenError, Opened, Tokens, announcement, random_id};
use crate::transport::{
    EventStream, HttpLink, HttpTransport, LinkSlot, Polled, Received, Transport, WebSocketTransport,
};

/// The cached answer to a poll or of a stream would be that of another connection.
const NO_CACHE: [(header::HeaderName, &str); 2] =
    [(header::CACHE_CONTROL, "no-cache, no-store"), (header::PRAGMA, "no-cache")];

/// Answers a request to the hub itself.
pub(super) async fn answer(
    shared: &Arc<Shared>,
    hub: &HubRoute,
    principal: Principal,
    query: &QueryPairs,
    parts: &mut Parts,
    body: Body,
) -> Response {
    let announcement = announcement(query);
    let request = Request { shared, hub, principal, announcement, token: connection_id(query) };
    let response = match parts.method {
        Method::GET if is_websocket(parts) => request.websocket(parts).await,
        Method::GET if accepts_events(parts) => request.events(),
        Method::GET => request.poll().await,
        Method::POST => request.post(body).await,
        Method::DELETE => request.delete(),
        _ => return method_not_allowed("GET, POST, DELETE"),
    };
    response.unwrap_or_else(|refusal| refusal)
}

struct Request<'a> {
    shared: &'a Arc<Shared>,
    hub: &'a HubRoute,
    principal: Principal,
    announcement: Option<Announcement>,
    token: Option<&'a str>,
}

type Answer = Result<Response, Response>;

impl Request<'_> {
    /// The token and the connection behind it, if its transport was opened.
    fn find(&self) -> Result<(&str, Option<Arc<Opened>>), Response> {
        let token = self.token.ok_or_else(|| text(StatusCode::BAD_REQUEST, "Connection ID required"))?;
        let found = self.hub.tokens.find(self.shared.clock.now(), token, self.principal.user_id());
        Ok((token, found.map_err(refusal)?))
    }

    /// As [`find`](Self::find), for a request of that transport.
    fn find_for(&self, kind: Kind) -> Result<(&str, Option<Arc<Opened>>), Response> {
        let (token, opened) = self.find()?;
        self.check_offered(kind)?;
        match &opened {
            Some(opened) if opened.link.kind() != kind => {
                Err(text(StatusCode::BAD_REQUEST, "Cannot change transports mid-connection"))
            }
            _ => Ok((token, opened)),
        }
    }

    fn check_offered(&self, kind: Kind) -> Result<(), Response> {
        if self.hub.endpoint.options.transports.contains(&kind) {
            return Ok(());
        }
        let refused = format!("{} transport not supported by this end point type", kind.name());
        Err(text(StatusCode::NOT_FOUND, refused))
    }

    fn admit(&self) -> Result<Permit, Response> {
        if self.shared.shutdown.has_begun() {
            return Err(shutting_down());
        }
        self.shared.admission.admit(self.principal.user_id()).map_err(|full| match full {
            Full::Server => text(StatusCode::SERVICE_UNAVAILABLE, "The server has too many connections."),
            Full::User => text(StatusCode::TOO_MANY_REQUESTS, "The user has too many connections."),
        })
    }

    async fn websocket(self, parts: &mut Parts) -> Answer {
        let settings = &self.shared.settings;
        if !cors::allows_websocket(&settings.origins, parts) {
            return Err(text(StatusCode::FORBIDDEN, ""));
        }
        let token = match self.token {
            Some(_) => {
                let (token, opened) = self.find_for(Kind::WebSockets)?;
                if let Some(opened) = opened {
                    return self.resume(&opened, parts).await;
                }
                Some(token.to_owned())
            }
            // A client that skips the negotiation.
            None => self.check_offered(Kind::WebSockets).map(|()| None)?,
        };
        let upgrade = self.upgrade(parts).await?;
        let permit = self.admit()?;
        let identity = Identity::new(self.principal, self.announcement);
        let slot = LinkSlot::new();
        let link = Link::WebSocket(slot.clone());
        let (id, stateful, open) = open(self.shared, self.hub, token, &identity, link)?;
        let endpoint = self.hub.endpoint.clone();
        let sessions = &settings.sessions;
        let session = if stateful { &sessions.stateful } else { &sessions.websocket }.clone();
        Ok(upgrade.on_upgrade(async move |socket| {
            let transport = WebSocketTransport::new(socket);
            // A task of its own, because that of the upgrade has the size of a whole socket and more.
            let mut task = ConnectionTask::new(endpoint, transport, id, identity, session);
            if stateful {
                task.takes_links_from(slot);
            }
            run(task, open, permit);
        }))
    }

    /// Another socket for a connection, in place of the one it lost or will find to be lost.
    async fn resume(self, opened: &Opened, parts: &mut Parts) -> Answer {
        let slot = match &opened.link {
            Link::WebSocket(slot) if slot.is_open() => slot.clone(),
            _ => return Err(refusal(OpenError::AlreadyOpen)),
        };
        let upgrade = self.upgrade(parts).await?;
        opened.identity.renew(self.principal);
        // If the connection ends meanwhile the socket is dropped, and the client begins a new one.
        Ok(upgrade.on_upgrade(async move |socket| slot.offer(WebSocketTransport::new(socket))))
    }

    async fn upgrade(&self, parts: &mut Parts) -> Result<WebSocketUpgrade, Response> {
        let settings = &self.shared.settings;
        let upgrade = WebSocketUpgrade::from_request_parts(parts, &()).await;
        Ok(upgrade
            .map_err(IntoResponse::into_response)?
            .read_buffer_size(settings.read_buffer_bytes)
            .write_buffer_size(0)
            .max_message_size(settings.frame_bytes)
            .max_frame_size(settings.frame_bytes))
    }

    /// Opens the response that carries Server-Sent Events.
    fn events(self) -> Answer {
        let (token, opened) = self.find_for(Kind::ServerSentEvents)?;
        if opened.is_some() {
            return Err(refusal(OpenError::AlreadyOpen));
        }
        let token = token.to_owned();
        let link = self.open_http(Kind::ServerSentEvents, token)?;
        let headers = [
            (header::CONTENT_TYPE, "text/event-stream"),
            (header::CONTENT_ENCODING, "identity"),
            // nginx would keep events back until its buffer is full.
            (header::HeaderName::from_static("x-accel-buffering"), "no"),
        ];
        Ok((headers, NO_CACHE, Body::from_stream(EventStream::new(link))).into_response())
    }

    async fn poll(self) -> Answer {
        let (token, opened) = self.find_for(Kind::LongPolling)?;
        let link = match opened.as_deref() {
            None => {
                let token = token.to_owned();
                self.open_http(Kind::LongPolling, token)?;
                return Ok(polled(axum::body::Bytes::new()));
            }
            Some(Opened { link: Link::Http(link), identity, .. }) => {
                identity.renew(self.principal);
                link
            }
            Some(Opened { link: Link::WebSocket(_), .. }) => return Err(unknown_id()),
        };
        Ok(match link.poll(self.shared.settings.poll_timeout).await {
            Polled::Data(data) => polled(data),
            Polled::Nothing => polled(axum::body::Bytes::new()),
            Polled::Over => (StatusCode::NO_CONTENT, NO_CACHE).into_response(),
        })
    }

    fn open_http(self, kind: Kind, token: String) -> Result<Arc<HttpLink>, Response> {
        let permit = self.admit()?;
        let settings = &self.shared.settings;
        let link = HttpLink::new(kind, settings.coalesced_bytes);
        let identity = Identity::new(self.principal, self.announcement);
        let opened = Link::Http(link.clone());
        let (id, _, open) = open(self.shared, self.hub, Some(token), &identity, opened)?;
        let session = match kind {
            Kind::LongPolling => &settings.sessions.long_polling,
            Kind::WebSockets | Kind::ServerSentEvents => &settings.sessions.server_sent_events,
        };
        let transport = HttpTransport::new(link.clone());
        let endpoint = self.hub.endpoint.clone();
        run(ConnectionTask::new(endpoint, transport, id, identity, session.clone()), open, permit);
        Ok(link)
    }

    async fn post(self, body: Body) -> Answer {
        let (_, opened) = self.find()?;
        // A client posts only after its stream or its first poll was answered.
        let opened = opened.ok_or_else(unknown_id)?;
        let Link::Http(link) = &opened.link else {
            let refused = "POST requests are not allowed for WebSocket connections.";
            return Err(text(StatusCode::METHOD_NOT_ALLOWED, refused));
        };
        if link.kind() == Kind::LongPolling {
            // All its requests show a token; the latest counts. An event stream was authenticated when it began.
            opened.identity.renew(self.principal);
        }
        // Before the body is read, so that a connection never holds more than one.
        let turn = link.turn().await;
        let settings = &self.shared.settings;
        let read = axum::body::to_bytes(body, settings.frame_bytes);
        let (received, status) = match tokio::time::timeout(settings.request_timeout, read).await {
            Ok(Ok(body)) if body.is_empty() => return Ok(text(StatusCode::OK, "")),
            Ok(Ok(body)) => (Received::Frame(body), StatusCode::OK),
            Ok(Err(error)) if is_too_large(&error) => (Received::TooLarge, StatusCode::PAYLOAD_TOO_LARGE),
            Ok(Err(_)) => return Err(text(StatusCode::BAD_REQUEST, "")),
            Err(_) => return Err(text(StatusCode::REQUEST_TIMEOUT, "")),
        };
        let taken = link.post(received).await;
        drop(turn);
        if taken { Ok(text(status, "")) } else { Err(unknown_id()) }
    }

    fn delete(self) -> Answer {
        let (_, opened) = self.find()?;
        match opened.as_deref() {
            Some(Opened { link: Link::Http(link), .. }) if link.kind() == Kind::LongPolling => {
                link.terminate();
                Ok(text(StatusCode::ACCEPTED, ""))
            }
            _ => {
                let refused = "Cannot terminate this connection using the DELETE endpoint.";
                Err(text(StatusCode::BAD_REQUEST, refused))
            }
        }
    }
}

/// Makes a connection of a negotiated one, or a new one if there is no token. Returns its public id, and whether
/// stateful reconnect was negotiated.
fn open(
    shared: &Shared,
    hub: &HubRoute,
    token: Option<String>,
    identity: &Arc<Identity>,
    link: Link,
) -> Result<(ByteString, bool, OpenToken), Response> {
    let (id, stateful) = match &token {
        Some(token) => {
            let now = shared.clock.now();
            hub.tokens.open(now, token, identity.clone(), link).map_err(refusal)?
        }
        None => (random_id().map_err(|_| text(StatusCode::INTERNAL_SERVER_ERROR, ""))?.into(), false),
    };
    Ok((id, stateful, OpenToken { tokens: hub.tokens.clone(), token }))
}

fn run<T: Transport>(task: Box<ConnectionTask<T>>, open: OpenToken, permit: Permit) {
    tokio::spawn(async move {
        task.run().await;
        drop((open, permit));
    });
}

/// Forgets an opened connection, also when the upgrade fails.
struct OpenToken {
    tokens: Arc<Tokens>,
    token: Option<String>,
}

impl Drop for OpenToken {
    fn drop(&mut self) {
        if let Some(token) = &self.token {
            self.tokens.remove(token);
        }
    }
}

fn polled(data: axum::body::Bytes) -> Response {
    ([(header::CONTENT_TYPE, "application/octet-stream")], NO_CACHE, data).into_response()
}

fn is_too_large(error: &axum::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if error.is::<http_body_util::LengthLimitError>() {
            return true;
        }
        source = error.source();
    }
    false
}

pub(super) fn connection_id(query: &QueryPairs) -> Option<&str> {
    let id = query.iter().find(|(name, _)| name.eq_ignore_ascii_case("id"));
    id.map(|(_, id)| &**id).filter(|id| !id.is_empty())
}

fn is_websocket(parts: &Parts) -> bool {
    let upgrade = parts.headers.get(header::UPGRADE).and_then(|value| value.to_str().ok());
    upgrade.is_some_and(|upgrade| upgrade.eq_ignore_ascii_case("websocket"))
}

fn accepts_events(parts: &Parts) -> bool {
    let accepted = parts.headers.get_all(header::ACCEPT).iter().filter_map(|accept| accept.to_str().ok());
    accepted.into_iter().any(|accept| accept.to_ascii_lowercase().contains("text/event-stream"))
}

fn refusal(error: OpenError) -> Response {
    match error {
        OpenError::Unknown => unknown_id(),
        OpenError::AlreadyOpen => text(StatusCode::CONFLICT, "The connection is already open."),
        OpenError::OtherUser => text(StatusCode::FORBIDDEN, ""),
    }
}

fn unknown_id() -> Response {
    text(StatusCode::NOT_FOUND, "No Connection with that ID")
}
