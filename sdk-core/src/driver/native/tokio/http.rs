//! HTTP requests over the [`Connector`], with cookies, redirects, and connections kept for the next request.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use cookie_store::CookieStore;
use futures_util::future::BoxFuture;
use http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST, HeaderValue, LOCATION, PROXY_AUTHORIZATION, SET_COOKIE,
};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::rt::ReadBufCursor;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::time::timeout;
use url::Url;

use super::causes::with_sources;
use super::connector::{Connector, Io, authority};
use super::redirect::{MAX_REDIRECTS, Redirect, shown};
use crate::client::{HttpRequest, RequestFailure};
use crate::driver::native::builder::TokenFactory;
use crate::protocol::{NegotiateResponse, ProtocolError};

/// The longest body of a negotiate or error response that is read, in bytes.
const MAX_BODY: usize = 1 << 20;
/// The longest that a poll may take; longer than servers hold one (90 s).
const POLL_TIMEOUT: Duration = Duration::from_secs(100);
/// The longest that any other request of a transport may take: it is answered at once, or the network is gone.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

const USER_AGENT: &str = concat!("Hubwire/", env!("CARGO_PKG_VERSION"), " (Rust)");

/// Makes the library's HTTP requests. Cheap to clone; clones share cookies and connections.
#[derive(Clone)]
pub(super) struct Http {
    client: Client<ConnectService, Full<Bytes>>,
    connector: Arc<dyn Connector>,
    custom_headers: Arc<HeaderMap>,
    /// Needed for servers behind balancers that keep a client on one of them by cookie.
    cookies: Arc<Mutex<CookieStore>>,
    token_factory: Option<TokenFactory>,
}

impl Http {
    pub(super) fn new(
        connector: Arc<dyn Connector>,
        custom_headers: HeaderMap,
        token_factory: Option<TokenFactory>,
    ) -> Self {
        Self {
            client: pool(connector.clone()),
            connector,
            custom_headers: Arc::new(custom_headers),
            cookies: Arc::default(),
            token_factory,
        }
    }

    /// Makes the next requests over new connections. Those that were kept may have died in silence, together with the
    /// one that was lost.
    pub(super) fn forget_connections(&mut self) {
        self.client = pool(self.connector.clone());
    }

    pub(super) fn connect(
        &self,
        host: String,
        port: u16,
        tls: bool,
    ) -> BoxFuture<'static, io::Result<Box<dyn Io>>> {
        self.connector.connect(host, port, tls)
    }

    pub(super) async fn negotiate(&self, request: HttpRequest) -> Result<NegotiateResponse, RequestFailure> {
        let body = self.post_empty(request).await?;
        NegotiateResponse::decode(&body).map_err(RequestFailure::Protocol)
    }

    /// Refreshes the token of a connection; gives its new lifetime in seconds, if the server says it.
    pub(super) async fn refresh(&self, request: HttpRequest) -> Result<Option<u64>, RequestFailure> {
        let body = self.post_empty(request).await?;
        let malformed = |error: serde_json::Error| {
            RequestFailure::Protocol(ProtocolError::Negotiate(
                format!("the refresh response: {error}").into(),
            ))
        };
        let body: serde_json::Value = serde_json::from_slice(&body).map_err(malformed)?;
        Ok(body["tokenLifetimeSeconds"].as_u64())
    }

    async fn post_empty(&self, request: HttpRequest) -> Result<Bytes, RequestFailure> {
        let content = Content { content_type: Some(TEXT), body: Bytes::new() };
        let response =
            self.request(Method::POST, &request.url, request.token.as_deref(), None, content).await?;
        read_body(checked(response).await?, MAX_BODY).await
    }

    /// The headers of every request, the WebSocket's included. The application's win over the library's.
    pub(super) fn headers(&self, uri: &Uri, token: Option<&str>) -> Result<HeaderMap, RequestFailure> {
        let mut headers = HeaderMap::new();
        headers.insert(http::header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        headers.insert("x-requested-with", HeaderValue::from_static("XMLHttpRequest"));
        if let Some(token) = token.filter(|token| !token.is_empty()) {
            let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| {
                RequestFailure::Network("the access token has characters no header may have".into())
            })?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        if let Some(url) = as_url(uri) {
            let cookies = self.cookies.lock().unwrap_or_else(PoisonError::into_inner);
            let pairs = cookies.get_request_values(&url).map(|(name, value)| format!("{name}={value}"));
            let cookies = pairs.collect::<Vec<_>>().join("; ");
            if let Ok(mut value) = HeaderValue::try_from(cookies)
                && !value.is_empty()
            {
                value.set_sensitive(true);
                headers.insert(COOKIE, value);
            }
        }
        for name in self.custom_headers.keys() {
            headers.remove(name);
        }
        headers.extend(self.custom_headers.iter().map(|(name, value)| (name.clone(), value.clone())));
        Ok(headers)
    }

    /// Keeps the cookies of a response for the next requests, the WebSocket's included.
    fn keep_cookies(&self, uri: &Uri, headers: &HeaderMap) {
        let Some(url) = as_url(uri) else { return };
        let mut cookies = self.cookies.lock().unwrap_or_else(PoisonError::into_inner);
        for value in headers.get_all(SET_COOKIE) {
            if let Ok(text) = value.to_str() {
                // A cookie that is malformed or for another site is not kept.
                let _ = cookies.parse(text, &url);
            }
        }
    }

    /// Sends a request, and follows redirects as `fetch` does.
    async fn request(
        &self,
        method: Method,
        url: &str,
        token: Option<&str>,
        accept: Option<&'static str>,
        content: Content,
    ) -> Result<Response<Incoming>, RequestFailure> {
        let mut uri: Uri =
            url.parse().map_err(|error| RequestFailure::Network(format!("'{url}': {error}")))?;
        let (mut method, mut token, mut content) = (method, token, content);
        let mut left_origin = false;
        for _ in 0..=MAX_REDIRECTS {
            let mut headers = self.headers(&uri, token)?;
            if left_origin {
                self.remove_custom_secrets(&mut headers);
            }
            let mut request = Request::new(Full::new(content.body.clone()));
            *request.method_mut() = method.clone();
            *request.headers_mut() = headers;
            *request.uri_mut() = uri.clone();
            for (name, value) in [(ACCEPT, accept), (CONTENT_TYPE, content.content_type)] {
                if let Some(value) = value {
                    request.headers_mut().insert(name, HeaderValue::from_static(value));
                }
            }
            let response = self.client.request(request).await.map_err(|error| network(&error))?;
            self.keep_cookies(&uri, response.headers());
            let Some(next) = redirect(&method, &uri, &response)? else { return Ok(response) };
            if next.leaves_origin {
                left_origin = true;
                token = None;
            }
            if !next.keeps_body {
                content = Content::default();
            }
            method = next.method;
            uri = next.url.as_str().parse().map_err(|error| {
                RequestFailure::Network(format!("the server redirects to an invalid address: {error}"))
            })?;
        }
        let shown = HeaderValue::try_from(uri.to_string()).map(|uri| shown(&uri)).unwrap_or_default();
        Err(RequestFailure::Network(format!(
            "the server redirected more than {MAX_REDIRECTS} times, at last to '{shown}'"
        )))
    }

    /// What the application says to its server only.
    fn remove_custom_secrets(&self, headers: &mut HeaderMap) {
        for name in [AUTHORIZATION, COOKIE, HOST, PROXY_AUTHORIZATION] {
            if self.custom_headers.contains_key(&name) {
                headers.remove(name);
            }
        }
    }
}

fn redirect(
    method: &Method,
    from: &Uri,
    response: &Response<Incoming>,
) -> Result<Option<Redirect>, RequestFailure> {
    // It was sent, so it is a URL.
    let Some(from) = as_url(from).filter(|_| response.status().is_redirection()) else { return Ok(None) };
    Redirect::of(method, &from, response.status(), response.headers().get(LOCATION))
        .map_err(RequestFailure::Network)
}

/// A request that was not answered. What the connector says needs no "client error" in front of it.
fn network(error: &hyper_util::client::legacy::Error) -> RequestFailure {
    let source = std::error::Error::source(error).filter(|_| error.is_connect());
    RequestFailure::Network(with_sources(source.unwrap_or(error)))
}

fn pool(connector: Arc<dyn Connector>) -> Client<ConnectService, Full<Bytes>> {
    Client::builder(TokioExecutor::new()).build(ConnectService(connector))
}

fn as_url(uri: &Uri) -> Option<Url> {
    Url::parse(&uri.to_string()).ok()
}

pub(super) const TEXT: &str = "text/plain;charset=UTF-8";
pub(super) const BINARY: &str = "application/octet-stream";

/// What a request carries.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    pub(super) content_type: Option<&'static str>,
    pub(super) body: Bytes,
}

/// The requests of one transport: to one address, with the token that was valid last.
#[derive(Clone)]
pub(super) struct Session {
    http: Http,
    url: Arc<str>,
    token: Arc<Mutex<Option<String>>>,
}

impl Session {
    pub(super) fn new(http: Http, url: &str, token: Option<String>) -> Self {
        Self { http, url: url.into(), token: Arc::new(Mutex::new(token)) }
    }

    /// Sends a request. On status 401 the token factory is asked once more, and the request repeated once.
    pub(super) async fn send(
        &self,
        method: Method,
        query: &str,
        accept: Option<&'static str>,
        content: Content,
    ) -> Result<Response<Incoming>, RequestFailure> {
        let url = format!("{}{query}", self.url);
        let token = self.token.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let limit = if method == Method::GET { POLL_TIMEOUT } else { REQUEST_TIMEOUT };
        let request = self.http.request(method.clone(), &url, token.as_deref(), accept, content.clone());
        let response = in_time(limit, request).await?;
        let Some(factory) =
            self.http.token_factory.as_ref().filter(|_| response.status() == StatusCode::UNAUTHORIZED)
        else {
            return Ok(response);
        };
        let token = factory().await.map_err(|reason| {
            RequestFailure::Network(format!(
                "the server answered with status 401, and the access token factory failed: {reason}"
            ))
        })?;
        self.token.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&token);
        in_time(limit, self.http.request(method, &url, token.as_deref(), accept, content)).await
    }
}

async fn in_time<T>(
    limit: Duration,
    request: impl Future<Output = Result<T, RequestFailure>>,
) -> Result<T, RequestFailure> {
    timeout(limit, request)
        .await
        .unwrap_or_else(|_| Err(RequestFailure::Network("a request was not answered in time".into())))
}

/// The response, if its status is success; else the failure with the server's text.
pub(super) async fn checked(response: Response<Incoming>) -> Result<Response<Incoming>, RequestFailure> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let retry_after = retry_after(response.headers());
    let body = read_body(response, MAX_BODY).await.unwrap_or_default();
    let text = match String::from_utf8_lossy(&body).trim() {
        "" => status.canonical_reason().unwrap_or_default().to_owned(),
        // A page of an error in front of the server is not worth more than its beginning.
        body => body.chars().take(500).collect(),
    };
    Err(RequestFailure::Status { code: status.as_u16(), text, retry_after })
}

/// The header `Retry-After` as a number of seconds; its other form, a date, would need the server's clock.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// Reads a body to its end; one that is longer than the limit is a failure.
pub(super) async fn read_body(response: Response<Incoming>, limit: usize) -> Result<Bytes, RequestFailure> {
    let body = Limited::new(response.into_body(), limit).collect().await;
    let body =
        body.map_err(|error| RequestFailure::Network(format!("the response could not be read: {error}")))?;
    Ok(body.to_bytes())
}

/// The connector as hyper wants it.
#[derive(Clone)]
struct ConnectService(Arc<dyn Connector>);

impl tower_service::Service<Uri> for ConnectService {
    type Response = HttpIo;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<HttpIo>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let stream = authority(&uri)
            .map(|(host, port, tls)| self.0.connect(host, port, tls))
            .map_err(|text| io::Error::new(io::ErrorKind::InvalidInput, text));
        Box::pin(async move { Ok(HttpIo(TokioIo::new(stream?.await?))) })
    }
}

struct HttpIo(TokioIo<Box<dyn Io>>);

impl Connection for HttpIo {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl hyper::rt::Read for HttpIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl hyper::rt::Write for HttpIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
