//! Requests from pages of other origins. SignalR's clients send credentials, so the exact origin is reflected.

use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode, header};

const HEADERS: &str = "authorization, content-type, x-requested-with, x-signalr-user-agent";
const METHODS: &str = "GET, POST, DELETE";

/// The answer to a preflight request, unless the request is something else.
pub(super) fn preflight(origins: &[String], parts: &Parts) -> Option<Response> {
    let is_preflight = parts.method == Method::OPTIONS
        && parts.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
        && is_listed(origins, parts.headers.get(header::ORIGIN));
    is_preflight.then(|| {
        let headers = [
            (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS),
            (header::ACCESS_CONTROL_MAX_AGE, "600"),
        ];
        (StatusCode::NO_CONTENT, headers).into_response()
    })
}

/// Lets the page read the response.
pub(super) fn allow(origins: &[String], origin: Option<&HeaderValue>, mut response: Response) -> Response {
    if !origins.is_empty() {
        response.headers_mut().append(header::VARY, HeaderValue::from_static("Origin"));
    }
    if let Some(origin) = origin.filter(|_| is_listed(origins, origin)) {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
    response
}

/// Browsers do not apply CORS to WebSockets, so where origins are configured the server does it.
pub(super) fn allows_websocket(origins: &[String], parts: &Parts) -> bool {
    let origin = parts.headers.get(header::ORIGIN);
    if origins.is_empty() || origin.is_none() || is_listed(origins, origin) {
        return true;
    }
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let origin = origin.and_then(|origin| origin.to_str().ok()).and_then(|origin| origin.split_once("://"));
    matches!((origin, host), (Some((_, origin)), Some(host)) if origin.eq_ignore_ascii_case(host))
}

fn is_listed(origins: &[String], origin: Option<&HeaderValue>) -> bool {
    let origin = origin.and_then(|origin| origin.to_str().ok());
    origin.is_some_and(|origin| origins.iter().any(|listed| listed.eq_ignore_ascii_case(origin)))
}
