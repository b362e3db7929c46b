//! Proxies: which one is between us and a server, and a tunnel through it.

use std::env;
use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{HOST, HeaderValue, PROXY_AUTHORIZATION};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use url::Url;

use super::causes::with_sources;
use super::connector::Io;
use crate::{Error, ErrorKind};

/// The longest head of a proxy's answer, in bytes.
const MAX_HEAD: usize = 16 << 10;

/// Which proxy connections go through. The default is [`Proxy::from_environment`].
///
/// A proxy is asked for a tunnel (`CONNECT`) to every server, whether that is spoken to over `http` or `https`: a WebSocket
/// needs a tunnel anyway. A proxy that allows tunnels only to port 443, as many do, lets nothing through to other ports.
#[derive(Clone)]
pub struct Proxy(Choice);

#[derive(Clone)]
enum Choice {
    None,
    Fixed(Arc<ProxyServer>),
    Environment(Arc<Matcher>),
}

impl Proxy {
    /// No proxy, whatever the environment says.
    pub const fn none() -> Self {
        Self(Choice::None)
    }

    /// What the environment says now, with the rules of curl: `HTTPS_PROXY` for `https` URLs, `HTTP_PROXY` for `http` URLs,
    /// `ALL_PROXY` for both; none for the hosts in `NO_PROXY` (names with their subdomains, addresses, networks as
    /// `10.0.0.0/8`, or `*`). Names in small letters do as well. The values are as for [`Proxy::parse`]; one that is no URL
    /// counts as not set, and one with another scheme, as `socks5`, is an error of each connection that it is meant for.
    pub fn from_environment() -> Self {
        // The matcher's `*` is for names only; curl's is for addresses, too.
        let exceptions = env::var("NO_PROXY").or_else(|_| env::var("no_proxy"));
        if exceptions.is_ok_and(|list| list.split(',').any(|entry| entry.trim() == "*")) {
            return Self::none();
        }
        Self(Choice::Environment(Arc::new(Matcher::from_env())))
    }

    /// One proxy for every server: `http://proxy.example:3128`, or `https://…` for a proxy that is spoken to over TLS. Name
    /// and password may be in it, percent-encoded (`http://user:p%40ss@proxy.example:3128`); they are sent in the header
    /// `Proxy-Authorization` (Basic), and are in no error and no log.
    ///
    /// # Errors
    /// [`ErrorKind::Misuse`] when it is no URL, has no host, or has another scheme, which the text names.
    pub fn parse(url: &str) -> Result<Self, Error> {
        // No text here may have the URL in it: its password is a secret.
        let misuse = |text: String| Error::new(ErrorKind::Misuse, text);
        let invalid =
            |reason: &dyn fmt::Display| misuse(format!("the URL of the proxy is invalid: {reason}"));
        // As in the environment.
        let url = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let url = Url::parse(&url).map_err(|error| invalid(&error))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(misuse(unsupported(url.scheme())));
        }
        // The parser for the environment, so that both read it alike; what it gets is encoded in the standard way.
        let anywhere = Uri::from_static("http://server.invalid/");
        let found = Matcher::builder().all(url.as_str()).build().intercept(&anywhere);
        let server =
            ProxyServer::of(&found.ok_or_else(|| invalid(&"it has no usable host"))?).map_err(misuse)?;
        Ok(Self(Choice::Fixed(Arc::new(server))))
    }

    /// The proxy in front of a server.
    pub(super) fn server(&self, target: &str, tls: bool) -> Result<Option<Arc<ProxyServer>>, String> {
        match &self.0 {
            Choice::None => Ok(None),
            Choice::Fixed(server) => Ok(Some(server.clone())),
            Choice::Environment(rules) => {
                let scheme = if tls { "https" } else { "http" };
                let target = Uri::builder().scheme(scheme).authority(target).path_and_query("/").build();
                let target = target.map_err(|error| error.to_string())?;
                rules.intercept(&target).map(|found| ProxyServer::of(&found).map(Arc::new)).transpose()
            }
        }
    }
}

impl Default for Proxy {
    fn default() -> Self {
        Self::from_environment()
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Choice::None => f.write_str("Proxy(none)"),
            Choice::Fixed(server) => write!(f, "Proxy({server})"),
            Choice::Environment(_) => f.write_str("Proxy(environment)"),
        }
    }
}

fn unsupported(scheme: &str) -> String {
    format!("a proxy with the scheme '{scheme}' is not supported; http and https are")
}

/// A proxy, and who we are to it.
pub(super) struct ProxyServer {
    /// A name or an address; that of IPv6 in brackets.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: bool,
    authorization: Option<HeaderValue>,
}

impl ProxyServer {
    fn of(found: &Intercept) -> Result<Self, String> {
        let uri = found.uri();
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") | None => false,
            Some(scheme) => return Err(unsupported(scheme)),
        };
        let host = uri.host().filter(|host| !host.is_empty()).ok_or("the URL of the proxy has no host")?;
        Ok(Self {
            host: host.to_owned(),
            port: uri.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            tls,
            authorization: found.basic_auth().cloned(),
        })
    }

    /// The error of a proxy that cannot be spoken to.
    pub(super) fn unreachable(&self, error: &io::Error) -> io::Error {
        io::Error::new(error.kind(), format!("The proxy {self} cannot be reached: {}", with_sources(error)))
    }

    /// Asks for a tunnel to `target`, a host and port. `io` is a connection to the proxy.
    pub(super) async fn tunnel<T: Io>(&self, io: T, target: &str) -> io::Result<Box<dyn Io>> {
        let failed = |error: &dyn std::error::Error| {
            let reason = with_sources(error);
            io::Error::other(format!("The proxy {self} gave no tunnel to {target}: {reason}"))
        };
        let request = self.request(target).map_err(|error| failed(&error))?;
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(MAX_HEAD)
            .handshake(TokioIo::new(io))
            .await
            .map_err(|error| failed(&error))?;
        let connection = connection.with_upgrades();
        let asking = async move {
            let response = sender.send_request(request).await.map_err(|error| failed(&error))?;
            let status = response.status();
            if !status.is_success() {
                return Err(io::Error::other(self.refusal(target, status)));
            }
            let tunnel = hyper::upgrade::on(response).await.map_err(|error| failed(&error))?;
            Ok(Box::new(TokioIo::new(tunnel)) as Box<dyn Io>)
        };
        ::tokio::pin!(asking);
        ::tokio::select! {
            tunnel = &mut asking => tunnel,
            // How it ended, the request is told.
            _ = connection => asking.await,
        }
    }

    fn request(&self, target: &str) -> Result<Request<Empty<Bytes>>, http::Error> {
        let mut request = Request::builder().method(Method::CONNECT).uri(target).header(HOST, target);
        if let Some(authorization) = &self.authorization {
            request = request.header(PROXY_AUTHORIZATION, authorization);
        }
        request.body(Empty::new())
    }

    fn refusal(&self, target: &str, status: StatusCode) -> String {
        // Tinyproxy says 401 to credentials that are wrong.
        let wants = matches!(status, StatusCode::PROXY_AUTHENTICATION_REQUIRED | StatusCode::UNAUTHORIZED);
        let reason = match &self.authorization {
            None if wants => "it wants credentials",
            Some(_) if wants => "it wants other credentials",
            _ => status.canonical_reason().unwrap_or("unknown"),
        };
        format!("The proxy {self} refused the connection to {target}: status {} ({reason})", status.as_u16())
    }
}

impl fmt::Display for ProxyServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use ::tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::*;

    fn fixed(url: &str) -> Arc<ProxyServer> {
        Proxy::parse(url).unwrap().server("example.org:443", true).unwrap().unwrap()
    }

    #[test]
    fn urls_of_proxies() {
        for (url, shown, tls, authorization) in [
            ("http://proxy.example:3128", "proxy.example:3128", false, None),
            ("https://proxy.example", "proxy.example:443", true, None),
            ("HTTP://proxy.example/", "proxy.example:80", false, None),
            ("proxy.example:3128", "proxy.example:3128", false, None),
            ("http://[::1]:8080", "[::1]:8080", false, None),
            // user:p@ss:wörd
            (
                "http://user:p%40ss%3Aw%C3%B6rd@proxy.example:1",
                "proxy.example:1",
                false,
                Some("Basic dXNlcjpwQHNzOnfDtnJk"),
            ),
            (
                "http://user:p@ss:wörd@proxy.example:1",
                "proxy.example:1",
                false,
                Some("Basic dXNlcjpwQHNzOnfDtnJk"),
            ),
            ("http://user@proxy.example:1", "proxy.example:1", false, Some("Basic dXNlcjo=")),
        ] {
            let server = fixed(url);
            assert_eq!((server.to_string().as_str(), server.tls), (shown, tls), "{url}");
            let value = server.authorization.as_ref();
            assert_eq!(value.map(|value| value.to_str().unwrap()), authorization, "{url}");
            assert!(value.is_none_or(HeaderValue::is_sensitive));
        }
    }

    #[test]
    fn what_is_no_proxy_is_refused_without_its_password() {
        for (url, wanted) in [
            ("socks5://user:secret@proxy.example:1080", "'socks5'"),
            ("ftp://user:secret@proxy.example", "'ftp'"),
            ("http://user:secret@", "invalid"),
            ("http://user:secret@proxy.example:99999", "invalid"),
            ("http://user:secret@pro xy.example", "invalid"),
            ("", "invalid"),
        ] {
            let error = Proxy::parse(url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Misuse);
            assert!(error.detail().contains(wanted), "{url}: {error}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        let proxy = Proxy::parse("http://user:secret@proxy.example:3128").unwrap();
        assert_eq!(format!("{proxy:?}"), "Proxy(proxy.example:3128)");
    }

    /// A tunnel through a proxy that answers this, and our end of it.
    async fn tunnel(answer: &'static [u8]) -> (io::Result<Box<dyn Io>>, DuplexStream, Vec<u8>) {
        let (ours, mut proxy) = ::tokio::io::duplex(1 << 16);
        let server = fixed("http://user:pass@proxy.example:1");
        let answering = async {
            let mut request = vec![0; 4096];
            let length = proxy.read(&mut request).await.unwrap();
            request.truncate(length);
            proxy.write_all(answer).await.unwrap();
            request
        };
        let (tunnel, request) = ::tokio::join!(server.tunnel(ours, "[::1]:8080"), answering);
        (tunnel, proxy, request)
    }

    #[::tokio::test]
    async fn a_tunnel_carries_what_both_ends_say() {
        let answer = b"HTTP/1.0 200 Connection established\r\nProxy-agent: x\r\n\r\nearly ";
        let (io, mut proxy, request) = tunnel(answer).await;
        assert_eq!(
            String::from_utf8(request).unwrap().to_lowercase(),
            "connect [::1]:8080 http/1.1\r\nhost: [::1]:8080\r\nproxy-authorization: basic dxnlcjpwyxnz\r\n\r\n"
        );
        let mut io = io.unwrap();
        proxy.write_all(b"and late").await.unwrap();
        io.write_all(b"and back").await.unwrap();
        io.shutdown().await.unwrap();
        let (mut there, mut back) = (String::new(), String::new());
        proxy.read_to_string(&mut back).await.unwrap();
        drop(proxy);
        io.read_to_string(&mut there).await.unwrap();
        assert_eq!((there.as_str(), back.as_str()), ("early and late", "and back"));
    }

    #[::tokio::test]
    async fn a_refusal_ends_at_once_whatever_follows() {
        // The body never comes.
        let (io, _proxy, _) = tunnel(b"HTTP/1.1 407 No\r\nContent-Length: 100000\r\n\r\n").await;
        let error = io.err().unwrap().to_string();
        let wanted = "The proxy proxy.example:1 refused the connection to [::1]:8080: status 407 (it wants other credentials)";
        assert_eq!(error, wanted);
    }

    #[::tokio::test]
    async fn a_head_that_does_not_end_is_read_to_the_limit() {
        let room = 1 << 10;
        let (ours, mut proxy) = ::tokio::io::duplex(room);
        let answering = async {
            proxy.read_u8().await.unwrap();
            proxy.write_all(b"HTTP/1.1 200 OK\r\nX: ").await.unwrap();
            let mut written = 0;
            while proxy.write_all(&[b'x'; 64]).await.is_ok() {
                written += 64;
            }
            written
        };
        let server = fixed("http://proxy.example:1");
        let (tunnel, written) = ::tokio::join!(server.tunnel(ours, "example.org:443"), answering);
        let error = tunnel.err().unwrap().to_string();
        assert!(
            error.contains("proxy.example:1 gave no tunnel to example.org:443: ")
                && error.contains("too large"),
            "{error}"
        );
        assert!((MAX_HEAD / 2..=MAX_HEAD + room).contains(&written), "{written}");
    }

    #[test]
    fn the_rules_of_the_environment() {
        let rules = Matcher::builder()
            .http("plain.example:1")
            .https("https://user:secret@secure.example:2")
            .no("localhost, .internal, 10.0.0.0/8, ::1")
            .build();
        let proxy = Proxy(Choice::Environment(Arc::new(rules)));
        let found = |target, tls| proxy.server(target, tls).unwrap().map(|server| server.to_string());
        assert_eq!(found("example.org:80", false).as_deref(), Some("plain.example:1"));
        assert_eq!(found("example.org:443", true).as_deref(), Some("secure.example:2"));
        assert_eq!(found("[::2]:443", true).as_deref(), Some("secure.example:2"));
        for target in ["localhost:80", "a.internal:1", "10.1.2.3:443", "[::1]:443"] {
            assert_eq!(found(target, true), None, "{target}");
        }
        assert!(!format!("{proxy:?}").contains("secret"));
        let socks = Matcher::builder().all("socks5h://user:secret@proxy.example").build();
        let error =
            Proxy(Choice::Environment(Arc::new(socks))).server("example.org:80", false).err().unwrap();
        assert!(error.contains("'socks5h'") && !error.contains("secret"), "{error}");
        assert!(Proxy::none().server("example.org:80", false).unwrap().is_none());
    }
}
