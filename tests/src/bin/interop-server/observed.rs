//! What the server saw of its clients, for the scenarios of `tests/scenarios`: how calls ended on this side, and the requests that
//! came. `tests/interop/HUB.md` says what the methods do.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, OnceLock};

use axum::extract::{Request, State as AxumState};
use axum::http::{Method, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use futures_util::StreamExt;
use hubwire_server::{Context, HubBuilder, HubError, Server, UploadStream};
use serde::Serialize;
use tokio::net::TcpListener;

use crate::{Done, Memory, Shared, locked};

/// A request at the second address: what it is for, and its headers by their names in lower case.
#[derive(Clone, Serialize)]
struct Seen {
    kind: &'static str,
    headers: HashMap<String, String>,
}

/// What was seen, by the keys that tests chose.
#[derive(Default)]
pub(crate) struct Observed {
    /// Where requests are noted.
    watched: OnceLock<String>,
    requests: Mutex<HashMap<String, Vec<Seen>>>,
    /// The calls of `Hold` that have begun.
    held: Mutex<HashSet<String>>,
    /// How uploads of `Drain` ended.
    drained: Mutex<HashMap<String, String>>,
}

/// Adds the methods.
pub(crate) fn methods(hub: HubBuilder<Arc<Memory>>) -> HubBuilder<Arc<Memory>> {
    hub.method("Hold", hold)
        .method("IsHeld", is_held)
        .method("Drain", drain)
        .method("Drained", drained)
        .method("Watched", watched)
        .method("Requests", requests)
}

async fn hold(ctx: Context, state: Shared, key: String) -> Done {
    locked(&state.0.observed.held).insert(key.clone());
    ctx.cancellation().cancelled().await;
    locked(&state.0.cancelled).insert(key, true);
    Err(HubError::new("It was held until it was cancelled."))
}

async fn is_held(state: Shared, key: String) -> Result<bool, HubError> {
    Ok(locked(&state.0.observed.held).contains(&key))
}

async fn drain(state: Shared, key: String, mut items: UploadStream<i64>) -> Result<u32, HubError> {
    let (mut count, mut end) = (0, "ended".to_owned());
    while let Some(item) = items.next().await {
        match item {
            Ok(item) => {
                locked(&state.0.noted).entry(format!("{key}-items")).or_default().push(item);
                count += 1;
            }
            Err(error) => end = error.message().to_owned(),
        }
    }
    locked(&state.0.observed.drained).insert(key, end);
    Ok(count)
}

async fn drained(state: Shared, key: String) -> Result<Option<String>, HubError> {
    Ok(locked(&state.0.observed.drained).get(&key).cloned())
}

async fn watched(state: Shared) -> Result<String, HubError> {
    state.0.observed.watched.get().cloned().ok_or_else(|| HubError::new("The server is starting"))
}

async fn requests(state: Shared, key: String) -> Result<Vec<Seen>, HubError> {
    Ok(locked(&state.0.observed.requests).get(&key).cloned().unwrap_or_default())
}

/// Serves `server` at a second address of this machine, where every request with `key=…` in its query is noted.
pub(crate) async fn watch(server: Server, memory: &Arc<Memory>) -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let _ = memory.observed.watched.set(format!("http://{}", listener.local_addr()?));
    let router = server.into_router().layer(middleware::from_fn_with_state(memory.clone(), note));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(())
}

async fn note(AxumState(memory): AxumState<Arc<Memory>>, request: Request, next: Next) -> Response {
    let query = request.uri().query().unwrap_or_default();
    if let Some(key) = query.split('&').find_map(|pair| pair.strip_prefix("key=")) {
        let headers = request.headers().iter().map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        });
        let seen = Seen { kind: kind(&request), headers: headers.collect() };
        locked(&memory.observed.requests).entry(key.to_owned()).or_default().push(seen);
    }
    next.run(request).await
}

fn kind(request: &Request) -> &'static str {
    let headers = request.headers();
    let accepts_events = || {
        headers.get(header::ACCEPT).is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"))
    };
    match *request.method() {
        Method::POST if request.uri().path().ends_with("/negotiate") => "negotiate",
        Method::POST => "send",
        Method::DELETE => "delete",
        _ if headers.contains_key(header::UPGRADE) => "WebSockets",
        _ if accepts_events() => "ServerSentEvents",
        _ => "LongPolling",
    }
}
