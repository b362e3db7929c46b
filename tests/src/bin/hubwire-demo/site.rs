//! The page of `examples/chat-web` and what it asks for: who it is, and what becomes of the server.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::json;
use tokio::net::TcpListener;

use crate::Result;
use crate::keeper::Keeper;

/// Pages of other sites cannot send it without being asked first, and so can do nothing here.
const OWN_PAGE: &str = "x-hubwire-demo";

/// The longest name of a user, in bytes.
const NAME_BYTES: usize = 32;

/// The files of the page, by their paths, read once: they are few, and no path can lead anywhere else.
pub(crate) type Files = HashMap<String, (&'static str, Bytes)>;

struct Site {
    files: Files,
    keeper: Arc<Keeper>,
}

/// Reads everything below a folder.
pub(crate) fn read(folder: &Path) -> Result<Files> {
    let mut files = Files::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(inner) = folders.pop() {
        let entries = std::fs::read_dir(&inner).map_err(|error| format!("{}: {error}", inner.display()))?;
        for entry in entries {
            let path: PathBuf = entry?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(folder)?.to_string_lossy().replace('\\', "/");
            files.insert(format!("/{name}"), (content_type(&name), std::fs::read(&path)?.into()));
        }
    }
    match files.get("/index.html").cloned() {
        Some(index) => files.insert("/".into(), index),
        None => return Err(format!("{} has no index.html", folder.display()).into()),
    };
    Ok(files)
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        // Browsers compile it while it arrives only with this type.
        Some("wasm") => "application/wasm",
        _ => "application/octet-stream",
    }
}

/// Serves until the future is dropped.
pub(crate) async fn serve(listener: TcpListener, files: Files, keeper: Arc<Keeper>) -> Result<()> {
    let router = Router::new()
        .route("/config.json", get(config))
        .route("/token", post(token))
        .route("/server", get(server))
        .route("/server/kill", post(kill))
        .route("/server/start", post(start))
        .fallback(file)
        .with_state(Arc::new(Site { files, keeper }));
    Ok(axum::serve(listener, router).await?)
}

async fn file(State(site): State<Arc<Site>>, uri: Uri) -> Response {
    let Some((content_type, body)) = site.files.get(uri.path()) else {
        return (StatusCode::NOT_FOUND, "There is no such page.\n").into_response();
    };
    let policy = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; \
                  connect-src 'self' http://127.0.0.1:* ws://127.0.0.1:*";
    // The names of assets change with what is in them.
    let caching = if uri.path().starts_with("/assets/") { "max-age=31536000, immutable" } else { "no-cache" };
    let headers = [
        (header::CONTENT_TYPE, *content_type),
        (header::CACHE_CONTROL, caching),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, body.clone()).into_response()
}

async fn config(State(site): State<Arc<Site>>) -> Response {
    axum::Json(json!({ "hubs": site.keeper.url() })).into_response()
}

async fn token(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    if !headers.contains_key(OWN_PAGE) {
        return foreign();
    }
    let user = query.get("user").map(|user| user.trim()).unwrap_or_default();
    if user.is_empty() || user.len() > NAME_BYTES || user.chars().any(char::is_control) {
        return (StatusCode::BAD_REQUEST, format!("A name has 1 to {NAME_BYTES} bytes.\n")).into_response();
    }
    answer(site.keeper.token(user))
}

async fn server(State(site): State<Arc<Site>>) -> Response {
    axum::Json(json!({ "process": site.keeper.process().await })).into_response()
}

async fn kill(State(site): State<Arc<Site>>, headers: HeaderMap) -> Response {
    if !headers.contains_key(OWN_PAGE) {
        return foreign();
    }
    println!("server: killed, as the page wanted");
    answer(site.keeper.kill().await)
}

async fn start(State(site): State<Arc<Site>>, headers: HeaderMap) -> Response {
    if !headers.contains_key(OWN_PAGE) {
        return foreign();
    }
    println!("server: started again at {}", site.keeper.url());
    answer(site.keeper.restart().await)
}

fn foreign() -> Response {
    (StatusCode::FORBIDDEN, "Only for the page of the demo.\n").into_response()
}

fn answer<T: IntoResponse>(result: Result<T>) -> Response {
    match result {
        Ok(value) => value.into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}
