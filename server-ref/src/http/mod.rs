//! The HTTP side: which request is what, and the status codes and texts of SignalR.

#![allow(clippy::result_large_err, reason = "the errors are responses, at most one for each request")]

mod connect;
mod cors;
mod refresh;
mod status;

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Query, Request, State};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode, header};
use hubwire::protocol::NegotiateResponse;

use crate::Principal;
use crate::admission::Admission;
use crate::auth::{self, Authenticator};
use crate::config::Settings;
use crate::endpoint::{Clock, Endpoint};
use crate::negotiate::{self, Tokens};
use crate::outbox::Queued;
use crate::shutdown::Shutdown;
use crate::stats::EventLog;

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
    pub(crate) queued: Arc<Queued>,
    pub(crate) clock: Clock,
    pub(crate) shutdown: Arc<Shutdown>,
}

#[derive(Debug)]
pub(crate) struct HubRoute {
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) tokens: Arc<Tokens>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Route {
    Connect,
    Negotiate,
    Refresh,
}

type QueryPairs = Vec<(String, String)>;

/// Answers every request that is not for a route of the application.
pub(crate) async fn dispatch(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let origin = parts.headers.get(header::ORIGIN).cloned();
    let response = match cors::preflight(&shared.settings.origins, &parts) {
        Some(response) => response,
        None => route(&shared, &mut parts, body).await,
    };
    cors::allow(&shared.settings.origins, origin.as_ref(), response)
}

async fn route(shared: &Arc<Shared>, parts: &mut Parts, body: Body) -> Response {
    // Clients of .NET servers rely on paths without case.
    let path = parts.uri.path().to_lowercase();
    match (path.as_str(), shared.settings.status_page) {
        ("/healthz", _) => return only_get(parts, || status::health(shared)),
        ("/", true) => return only_get(parts, status::page),
        ("/status.json", true) => return only_get(parts, || status::json(shared)),
        _ => {}
    }
    let path = path.strip_suffix('/').unwrap_or(&path);
    let (base, route) = match path.rsplit_once('/') {
        Some((base, "negotiate")) if shared.hubs.contains_key(base) => (base, Route::Negotiate),
        Some((base, "refresh")) if shared.hubs.contains_key(base) => (base, Route::Refresh),
        _ => (path, Route::Connect),
    };
    let Some(hub) = shared.hubs.get(base) else { return text(StatusCode::NOT_FOUND, "") };
    let query = Query::<QueryPairs>::try_from_uri(&parts.uri).map(|query| query.0).unwrap_or_default();
    if route == Route::Refresh {
        return refresh::answer(shared, hub, parts, &query);
    }
    let principal = match authorize(shared, hub, parts, &query) {
        Ok(principal) => principal,
        Err(refusal) => return refusal,
    };
    match (route, &parts.method) {
        (Route::Negotiate, &Method::POST) if shared.shutdown.has_begun() => shutting_down(),
        (Route::Negotiate, &Method::POST) => negotiate(shared, hub, &principal, &query),
        (Route::Negotiate, _) => method_not_allowed("POST"),
        (Route::Connect | Route::Refresh, _) => {
            connect::answer(shared, hub, principal, &query, parts, body).await
        }
    }
}

/// The reason is in the log.
struct InvalidToken;

/// Who it is: nobody without a token.
fn authenticate(
    shared: &Shared,
    hub: &HubRoute,
    parts: &Parts,
    query: &QueryPairs,
) -> Result<Principal, InvalidToken> {
    let token = auth::request_token(&parts.headers, query);
    let (Some(authenticator), Some(token)) = (&shared.authenticator, token) else {
        return Ok(Principal::anonymous());
    };
    authenticator.authenticate(token).map_err(|error| {
        tracing::debug!(hub = hub.endpoint.path, %error, "refused an access token");
        InvalidToken
    })
}

/// Who it is, if they may use the hub. Applies to every request of a connection.
fn authorize(
    shared: &Shared,
    hub: &HubRoute,
    parts: &Parts,
    query: &QueryPairs,
) -> Result<Principal, Response> {
    let principal = authenticate(shared, hub, parts, query).map_err(|InvalidToken| unauthorized())?;
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
        Err(text) => NegotiateResponse::Refused(text),
        Ok(version) => {
            let (Ok(id), Ok(secret)) = (negotiate::random_id(), negotiate::random_id()) else {
                return text(StatusCode::INTERNAL_SERVER_ERROR, "");
            };
            let token = if version == 0 { &id } else { &secret };
            let now = shared.clock.now();
            let options = &hub.endpoint.options;
            let stateful = negotiate::grants_stateful_reconnect(version, query, options);
            if !hub.tokens.prepare(now, token, &id, principal.user_id(), stateful, &shared.settings) {
                return text(StatusCode::SERVICE_UNAVAILABLE, "Too many negotiated connections.");
            }
            let extensions = negotiate::announcement(query).is_some().then(|| {
                let endpoint = &hub.endpoint;
                negotiate::extensions(
                    endpoint.deduper.as_deref(),
                    endpoint.reliable.is_some(),
                    &endpoint.fanout,
                )
            });
            negotiate::accepted(version, id, secret, stateful, principal, options, extensions)
        }
    };
    json(&response)
}

fn json(response: &NegotiateResponse) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store, no-cache")];
    (headers, response.encode()).into_response()
}

/// New connections are refused; those that are open go on until they know that it is over.
fn shutting_down() -> Response {
    text(StatusCode::SERVICE_UNAVAILABLE, "The server is shutting down.")
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
