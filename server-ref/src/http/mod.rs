//! The HTTP side: which request is what, and the status codes and texts of SignalR.

#![allow(clippy::result_large_err, reason = "the errors are responses, at most one for each request")]

mod cors;
mod status;

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{FromRequestParts, Query, Request, State};
use axum::response::{IntoResponse, Response};
use bytestring::ByteString;
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode, header};
use hubwire::protocol::NegotiateResponse;

use crate::Principal;
use crate::admission::{Admission, Full};
use crate::auth::{self, Authenticator};
use crate::config::Settings;
use crate::connection::ConnectionTask;
use crate::endpoint::{Clock, Endpoint};
use crate::negotiate::{self, OpenError, Tokens};
use crate::shutdown::Shutdown;
use crate::stats::EventLog;
use crate::transport::WebSocketTransport;

pub(crate) use status::Status;
pub use status::{HubStatistics, Statistics};

/// Everything the requests of a server share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// By path in lower case.
    pub(crate) hubs: HashMap<String, HubRoute>,
    pub(crate) authenticator: Option<Authenticator>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) events: Arc<EventLog>,
    pub(crate) status: Status,
    pub(crate) clock: Clock,
    pub(crate) shutdown: Arc<Shutdown>,
}

#[derive(Debug)]
pub(crate) struct HubRoute {
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) tokens: Arc<Tokens>,
}

type QueryPairs = Vec<(String, String)>;

/// Answers every request that is not for a route of the application.
pub(crate) async fn dispatch(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (mut parts, _body) = request.into_parts();
    let origin = parts.headers.get(header::ORIGIN).cloned();
    let response = match cors::preflight(&shared.settings.origins, &parts) {
        Some(response) => response,
        None => route(&shared, &mut parts).await,
    };
    cors::allow(&shared.settings.origins, origin.as_ref(), response)
}

async fn route(shared: &Arc<Shared>, parts: &mut Parts) -> Response {
    // Clients of .NET servers rely on paths without case.
    let path = parts.uri.path().to_lowercase();
    match (path.as_str(), shared.settings.status_page) {
        ("/healthz", _) => return only_get(parts, || status::health(shared)),
        ("/", true) => return only_get(parts, status::page),
        ("/status.json", true) => return only_get(parts, || status::json(shared)),
        _ => {}
    }
    let path = path.strip_suffix('/').unwrap_or(&path);
    let (hub, negotiates) = match path.strip_suffix("/negotiate") {
        Some(base) if shared.hubs.contains_key(base) => (shared.hubs.get(base), true),
        _ => (shared.hubs.get(path), false),
    };
    let Some(hub) = hub else { return text(StatusCode::NOT_FOUND, "") };
    let query = Query::<QueryPairs>::try_from_uri(&parts.uri).map(|query| query.0).unwrap_or_default();
    let principal = match authorize(shared, hub, parts, &query) {
        Ok(principal) => principal,
        Err(refusal) => return refusal,
    };
    if shared.shutdown.has_begun() {
        return text(StatusCode::SERVICE_UNAVAILABLE, "The server is shutting down.");
    }
    match (negotiates, &parts.method) {
        (true, &Method::POST) => negotiate(shared, hub, &principal, &query),
        (true, _) => method_not_allowed("POST"),
        (false, &Method::GET) if is_websocket(parts) => {
            websocket(shared, hub, principal, &query, parts).await
        }
        (false, &Method::GET) => {
            let events = parts.headers.get_all(header::ACCEPT).iter();
            let events = events.filter_map(|accept| accept.to_str().ok());
            let transport = match events.into_iter().any(|accept| accept.contains("text/event-stream")) {
                true => "ServerSentEvents",
                false => "LongPolling",
            };
            let refused = format!("{transport} transport not supported by this end point type");
            known(shared, hub, &query).err().unwrap_or_else(|| text(StatusCode::NOT_FOUND, refused))
        }
        (false, &Method::POST) => known(shared, hub, &query).err().unwrap_or_else(|| {
            let refused = "POST requests are not allowed for WebSocket connections.";
            text(StatusCode::METHOD_NOT_ALLOWED, refused)
        }),
        (false, &Method::DELETE) => known(shared, hub, &query).err().unwrap_or_else(|| {
            let refused = "Cannot terminate this connection using the DELETE endpoint.";
            text(StatusCode::BAD_REQUEST, refused)
        }),
        (false, _) => method_not_allowed("GET, POST, DELETE"),
    }
}

/// Who it is, if they may use the hub. Applies to every request of a connection.
fn authorize(
    shared: &Shared,
    hub: &HubRoute,
    parts: &Parts,
    query: &QueryPairs,
) -> Result<Principal, Response> {
    let token = auth::request_token(&parts.headers, query);
    let principal = match (&shared.authenticator, token) {
        (Some(authenticator), Some(token)) => authenticator.authenticate(token).map_err(|error| {
            tracing::debug!(hub = hub.endpoint.path, %error, "refused an access token");
            unauthorized()
        })?,
        _ => Principal::anonymous(),
    };
    match hub.endpoint.hub.policy() {
        Some(policy) if !policy.allows(&principal) => Err(match principal.is_authenticated() {
            true => text(StatusCode::FORBIDDEN, ""),
            false => unauthorized(),
        }),
        _ => Ok(principal),
    }
}

fn negotiate(shared: &Shared, hub: &HubRoute, principal: &Principal, query: &QueryPairs) -> Response {
    let response = match negotiate::requested_version(query) {
        Err(refused) => refused,
        Ok(version) => {
            let (Ok(id), Ok(secret)) = (negotiate::random_id(), negotiate::random_id()) else {
                return text(StatusCode::INTERNAL_SERVER_ERROR, "");
            };
            let token = if version == 0 { &id } else { &secret };
            let now = shared.clock.now();
            if !hub.tokens.prepare(now, token, &id, principal.user_id(), &shared.settings) {
                return text(StatusCode::SERVICE_UNAVAILABLE, "Too many negotiated connections.");
            }
            negotiate::accepted(version, id, secret)
        }
    };
    json(&response)
}

fn json(response: &NegotiateResponse) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store, no-cache")];
    (headers, response.encode()).into_response()
}

async fn websocket(
    shared: &Arc<Shared>,
    hub: &HubRoute,
    principal: Principal,
    query: &QueryPairs,
    parts: &mut Parts,
) -> Response {
    if !cors::allows_websocket(&shared.settings.origins, parts) {
        return text(StatusCode::FORBIDDEN, "");
    }
    let upgrade = match WebSocketUpgrade::from_request_parts(parts, &()).await {
        Ok(upgrade) => upgrade,
        Err(rejection) => return rejection.into_response(),
    };
    let permit = match shared.admission.admit(principal.user_id()) {
        Ok(permit) => permit,
        Err(Full::Server) => {
            return text(StatusCode::SERVICE_UNAVAILABLE, "The server has too many connections.");
        }
        Err(Full::User) => {
            return text(StatusCode::TOO_MANY_REQUESTS, "The user has too many connections.");
        }
    };
    let (id, token) = match connection_id(query) {
        Some(token) => match hub.tokens.open(shared.clock.now(), token, principal.user_id()) {
            Ok(id) => (id, Some(token.to_owned())),
            Err(OpenError::Unknown) => return unknown_id(),
            Err(OpenError::AlreadyOpen) => {
                return text(StatusCode::CONFLICT, "The connection is already open.");
            }
            Err(OpenError::OtherUser) => return text(StatusCode::FORBIDDEN, ""),
        },
        // A client that skips the negotiation.
        None => match negotiate::random_id() {
            Ok(id) => (ByteString::from(id), None),
            Err(_) => return text(StatusCode::INTERNAL_SERVER_ERROR, ""),
        },
    };
    let open = OpenToken { tokens: hub.tokens.clone(), token };
    let endpoint = hub.endpoint.clone();
    let settings = &shared.settings;
    upgrade
        .read_buffer_size(settings.read_buffer_bytes)
        .write_buffer_size(0)
        .max_message_size(settings.frame_bytes)
        .max_frame_size(settings.frame_bytes)
        .on_upgrade(async move |socket| {
            let transport = WebSocketTransport::new(socket);
            let task = ConnectionTask::new(endpoint, transport, id, Arc::new(principal));
            // A task of its own, because that of the upgrade has the size of a whole socket and more.
            tokio::spawn(async move {
                task.run().await;
                drop((open, permit));
            });
        })
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

/// Checks the id of a request to an existing connection.
fn known(shared: &Shared, hub: &HubRoute, query: &QueryPairs) -> Result<(), Response> {
    let Some(token) = connection_id(query) else {
        return Err(text(StatusCode::BAD_REQUEST, "Connection ID required"));
    };
    hub.tokens.is_open(shared.clock.now(), token).map(|_| ()).ok_or_else(unknown_id)
}

fn connection_id(query: &QueryPairs) -> Option<&str> {
    let id = query.iter().find(|(name, _)| name.eq_ignore_ascii_case("id"));
    id.map(|(_, id)| &**id).filter(|id| !id.is_empty())
}

fn is_websocket(parts: &Parts) -> bool {
    let upgrade = parts.headers.get(header::UPGRADE).and_then(|value| value.to_str().ok());
    upgrade.is_some_and(|upgrade| upgrade.eq_ignore_ascii_case("websocket"))
}

fn unknown_id() -> Response {
    text(StatusCode::NOT_FOUND, "No Connection with that ID")
}

/// Clients show the reason phrase, so the body stays empty.
fn unauthorized() -> Response {
    let mut response = text(StatusCode::UNAUTHORIZED, "");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

fn method_not_allowed(allowed: &'static str) -> Response {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "");
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    response
}

fn only_get(parts: &Parts, response: impl FnOnce() -> Response) -> Response {
    match parts.method {
        Method::GET | Method::HEAD => response(),
        _ => method_not_allowed("GET"),
    }
}

fn text(status: StatusCode, body: impl Into<Body>) -> Response {
    let headers = [(header::CONTENT_TYPE, "text/plain")];
    (status, headers, body.into()).into_response()
}
