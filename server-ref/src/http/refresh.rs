//! `POST {hub}/refresh`: a newer token for a connection that is open.

use std::time::SystemTime;

use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{Method, StatusCode, header};
use serde::Serialize;

use super::connect::connection_id;
use super::{HubRoute, InvalidToken, QueryPairs, Shared, authenticate, method_not_allowed};
use crate::negotiate::OpenError;
use crate::timestamp;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Refreshed<'a> {
    connection_id: &'a str,
    refreshed_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_lifetime_seconds: Option<u64>,
}

#[derive(Serialize)]
struct Failure {
    error: &'static str,
    error_description: &'static str,
}

fn failure(status: StatusCode, error: &'static str, error_description: &'static str) -> Response {
    json(status, &Failure { error, error_description })
}

fn json(status: StatusCode, body: &impl Serialize) -> Response {
    (status, [(header::CACHE_CONTROL, "no-store, no-cache")], axum::Json(body)).into_response()
}

pub(super) fn answer(shared: &Shared, hub: &HubRoute, parts: &Parts, query: &QueryPairs) -> Response {
    if parts.method != Method::POST {
        return method_not_allowed("POST");
    }
    refresh(shared, hub, parts, query).unwrap_or_else(|failure| failure)
}

fn refresh(shared: &Shared, hub: &HubRoute, parts: &Parts, query: &QueryPairs) -> Result<Response, Response> {
    if !hub.endpoint.options.authentication_refresh {
        let text = "Tokens cannot be refreshed on this endpoint.";
        return Err(failure(StatusCode::NOT_FOUND, "refresh_disabled", text));
    }
    let invalid = |text| failure(StatusCode::UNAUTHORIZED, "invalid_token", text);
    let principal = authenticate(shared, hub, parts, query)
        .map_err(|InvalidToken| invalid("The token is not valid."))
        .and_then(|principal| match principal.is_authenticated() {
            true => Ok(principal),
            false => Err(invalid("There is no token.")),
        })?;
    let token = connection_id(query).ok_or_else(|| {
        failure(StatusCode::BAD_REQUEST, "missing_connection_token", "The id of the connection is missing.")
    })?;
    let denied = |text| failure(StatusCode::FORBIDDEN, "access_denied", text);
    if hub.endpoint.hub.policy().is_some_and(|policy| !policy.allows(&principal)) {
        return Err(denied("The token does not allow to use this hub."));
    }
    let unknown =
        || failure(StatusCode::NOT_FOUND, "connection_not_found", "There is no connection with that id.");
    let opened = match hub.tokens.find(shared.clock.now(), token, principal.user_id()) {
        Ok(opened) => opened.ok_or_else(unknown)?,
        Err(OpenError::OtherUser) => return Err(denied("The token is of another user.")),
        Err(OpenError::Unknown | OpenError::AlreadyOpen) => return Err(unknown()),
    };
    let token_lifetime_seconds = principal.lifetime();
    if !opened.identity.renew(principal) {
        return Err(denied("The token is of another user."));
    }
    let refreshed_at = timestamp::iso(SystemTime::now());
    let body = Refreshed { connection_id: &opened.id, refreshed_at, token_lifetime_seconds };
    Ok(json(StatusCode::OK, &body))
}
