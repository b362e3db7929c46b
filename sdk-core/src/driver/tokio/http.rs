//! HTTP requests over the [`Connector`], with connections kept for the next request.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, Request, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::rt::ReadBufCursor;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::connector::{Connector, Io, authority};
use crate::client::{HttpRequest, RequestFailure};
use crate::protocol::NegotiateResponse;

/// The longest body of a negotiate response that is read, in bytes.
const MAX_BODY: usize = 1 << 20;

const USER_AGENT: &str = concat!("Hubwire/", env!("CARGO_PKG_VERSION"), " (Rust)");

/// Makes the library's HTTP requests.
#[derive(Clone)]
pub(super) struct Http {
    client: Client<ConnectService, Full<Bytes>>,
    headers: Arc<HeaderMap>,
}

impl Http {
    pub(super) fn new(connector: Arc<dyn Connector>, headers: Arc<HeaderMap>) -> Self {
        let client = Client::builder(TokioExecutor::new()).build(ConnectService(connector));
        Self { client, headers }
    }

    pub(super) async fn negotiate(&self, request: HttpRequest) -> Result<NegotiateResponse, RequestFailure> {
        let network = |text: String| RequestFailure::Network(text);
        let uri: Uri = request.url.parse().map_err(|error| network(format!("'{}': {error}", request.url)))?;
        let mut post = Request::new(Full::new(Bytes::new()));
        *post.method_mut() = Method::POST;
        *post.uri_mut() = uri;
        *post.headers_mut() = request_headers(&self.headers, request.token.as_deref())?;
        post.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain;charset=UTF-8"));
        let response = self.client.request(post).await.map_err(|error| network(with_sources(&error)))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_BODY)
            .collect()
            .await
            .map_err(|error| network(format!("the response could not be read: {error}")))?
            .to_bytes();
        if status.is_success() {
            return NegotiateResponse::decode(&body).map_err(RequestFailure::Protocol);
        }
        let text = match String::from_utf8_lossy(&body).trim() {
            "" => status.canonical_reason().unwrap_or_default().to_owned(),
            // A page of an error in front of the server is not worth more than its beginning.
            body => body.chars().take(500).collect(),
        };
        Err(RequestFailure::Status { code: status.as_u16(), text })
    }
}

/// The headers of every request. The application's win over the library's.
pub(super) fn request_headers(custom: &HeaderMap, token: Option<&str>) -> Result<HeaderMap, RequestFailure> {
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
    for name in custom.keys() {
        headers.remove(name);
    }
    headers.extend(custom.clone());
    Ok(headers)
}

/// An error with what caused it: the outer texts of hyper say only that something failed.
pub(super) fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
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
