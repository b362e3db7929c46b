//! A server that does what a test says, and writes down every request.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// A server of one connection.
#[derive(Default)]
pub struct Script {
    /// What waits for the client.
    queue: Mutex<VecDeque<String>>,
    queued: Notify,
    log: Mutex<Vec<String>>,
    /// Requests other than negotiate are refused unless they have this token.
    pub token: Mutex<Option<&'static str>>,
    pub over: Mutex<bool>,
    /// Requests for these paths are redirected: with which status, and where to.
    redirects: Mutex<Vec<(&'static str, u16, String)>>,
    /// Whether the first poll was answered, which comes back at once.
    polled: Mutex<bool>,
}

impl Script {
    pub fn push(&self, text: &str) {
        self.queue.lock().unwrap().push_back(text.to_owned());
        self.queued.notify_one();
    }

    /// Redirects requests for a path; the location is followed by the query of the request.
    pub fn redirect(&self, path: &'static str, status: u16, location: impl Into<String>) {
        self.redirects.lock().unwrap().push((path, status, location.into()));
    }

    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// What waits, as soon as there is something.
    async fn next(&self) -> String {
        loop {
            if let Some(text) = self.queue.lock().unwrap().pop_front() {
                return text;
            }
            self.queued.notified().await;
        }
    }
}

fn value<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("-")
}

async fn serve(State(script): State<Arc<Script>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let path = parts.uri.path().to_owned();
    let query: Vec<_> =
        parts.uri.query().unwrap_or_default().split('&').filter(|pair| !pair.starts_with("_=")).collect();
    let authorization = value(&parts.headers, "authorization");
    script.log.lock().unwrap().push(format!(
        "{} {path}?{} {authorization} cookie={} x={} {}",
        parts.method,
        query.join("&"),
        value(&parts.headers, "cookie"),
        value(&parts.headers, "x-custom"),
        value(&parts.headers, "content-type"),
    ));
    let redirects = script.redirects.lock().unwrap().clone();
    if let Some((_, status, location)) = redirects.into_iter().find(|(from, ..)| *from == path) {
        let location = format!("{location}?{}", query.join("&"));
        let headers = [(header::LOCATION, location), (header::SET_COOKIE, "sent=away; Path=/".to_owned())];
        return (StatusCode::from_u16(status).unwrap(), headers).into_response();
    }
    if path.ends_with("/negotiate") {
        let body = r#"{"negotiateVersion":1,"connectionId":"public","connectionToken":"secret","availableTransports":[
            {"transport":"ServerSentEvents","transferFormats":["Text"]},
            {"transport":"LongPolling","transferFormats":["Text","Binary"]}]}"#;
        return ([(header::SET_COOKIE, "node=7; Path=/; HttpOnly")], body).into_response();
    }
    let required = *script.token.lock().unwrap();
    if required.is_some_and(|token| authorization != format!("Bearer {token}")) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    match parts.method {
        Method::POST => {
            if body.starts_with(b"{\"protocol\"") {
                script.push("{}\u{1e}");
            } else if let Some(id) = text_between(&body, "\"invocationId\":\"", "\"") {
                script.push(&format!("{{\"type\":3,\"invocationId\":\"{id}\",\"result\":42}}\u{1e}"));
            }
            StatusCode::OK.into_response()
        }
        Method::DELETE => {
            *script.over.lock().unwrap() = true;
            StatusCode::ACCEPTED.into_response()
        }
        Method::GET if value(&parts.headers, "accept") == "text/event-stream" => {
            let events = stream::unfold(script, |script| async move {
                let event = format!("data: {}\r\n\r\n", script.next().await);
                Some((Ok::<_, std::convert::Infallible>(Bytes::from(event)), script))
            });
            ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(events)).into_response()
        }
        _ if !std::mem::replace(&mut *script.polled.lock().unwrap(), true) => StatusCode::OK.into_response(),
        _ => match tokio::time::timeout(Duration::from_secs(20), script.next()).await {
            Ok(text) if text.is_empty() => StatusCode::NO_CONTENT.into_response(),
            Ok(text) => text.into_response(),
            Err(_) => StatusCode::OK.into_response(),
        },
    }
}

fn text_between(body: &[u8], from: &str, to: &str) -> Option<String> {
    let text = String::from_utf8_lossy(body).into_owned();
    let (_, rest) = text.split_once(from)?;
    rest.split_once(to).map(|(between, _)| between.to_owned())
}

pub async fn start() -> (String, Arc<Script>) {
    let script = Arc::new(Script::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hub?tenant=1", listener.local_addr().unwrap());
    let router = Router::new().fallback(serve).with_state(script.clone());
    tokio::spawn(axum::serve(listener, router).into_future());
    (url, script)
}
