use std::fmt;
use std::io;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::certificates;
use super::proxy::{Proxy, ProxyServer};
use crate::{Error, ErrorKind};

/// A byte stream to a server: TCP, TLS, or anything else.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Io for T {}

/// Opens byte streams for HTTP and WebSockets. [`TcpConnector`] knows of HTTP proxies and private certificates; implement this
/// for other tunnels and for simulated networks.
pub trait Connector: Send + Sync + 'static {
    /// Connects to a host and port; through TLS if `tls` is set.
    fn connect(&self, host: String, port: u16, tls: bool) -> BoxFuture<'static, io::Result<Box<dyn Io>>>;
}

/// Connects over TCP, through a proxy if there is one, with rustls for `https`.
#[derive(Clone)]
pub struct TcpConnector {
    tls: Arc<rustls::ClientConfig>,
    proxy: Proxy,
}

impl TcpConnector {
    /// With the Mozilla root certificates, and the proxy of the environment ([`Proxy::from_environment`]).
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new() -> Result<Self, Error> {
        Self::builder().build()
    }

    /// With these root certificates instead: for a private authority. The proxy is that of the environment.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn with_roots(roots: rustls::RootCertStore) -> Result<Self, Error> {
        Self::with(roots, Proxy::from_environment())
    }

    /// Chooses root certificates and proxy.
    pub fn builder() -> TcpConnectorBuilder {
        TcpConnectorBuilder { added: rustls::RootCertStore::empty(), only_added: false, proxy: None }
    }

    fn with(roots: rustls::RootCertStore, proxy: Proxy) -> Result<Self, Error> {
        // Named here: rustls would look for a provider of the process otherwise, and panic without one.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| misuse(format!("TLS cannot be set up: {error}")))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { tls: Arc::new(tls), proxy })
    }

    async fn open(self, host: String, port: u16, tls: bool) -> io::Result<Box<dyn Io>> {
        let host = without_brackets(&host);
        let target = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let proxy = self.proxy.server(&target, tls);
        match proxy.map_err(|text| io::Error::new(io::ErrorKind::InvalidInput, text))? {
            None => {
                let tcp = tcp(host, port).await?;
                if tls { self.secured(host, tcp).await } else { Ok(Box::new(tcp)) }
            }
            Some(proxy) => {
                let tunnel = self.tunnel(&proxy, &target).await?;
                if !tls {
                    return Ok(tunnel);
                }
                self.secured(host, tunnel).await.map_err(|error| {
                    let text = format!("TLS with {target} through the proxy {proxy} failed: {error}");
                    io::Error::new(error.kind(), text)
                })
            }
        }
    }

    async fn tunnel(&self, proxy: &ProxyServer, target: &str) -> io::Result<Box<dyn Io>> {
        let host = without_brackets(&proxy.host);
        let tcp = tcp(host, proxy.port).await.map_err(|error| proxy.unreachable(&error))?;
        if !proxy.tls {
            return proxy.tunnel(tcp, target).await;
        }
        let secured = self.secured(host, tcp).await.map_err(|error| proxy.unreachable(&error))?;
        proxy.tunnel(secured, target).await
    }

    async fn secured<T: Io>(&self, host: &str, io: T) -> io::Result<Box<dyn Io>> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        Ok(Box::new(TlsConnector::from(self.tls.clone()).connect(name, io).await?))
    }
}

/// An IPv6 address is in brackets in a URL.
fn without_brackets(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

async fn tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let tcp = TcpStream::connect((host, port)).await?;
    // Messages are small and written whole: waiting for more would only delay them.
    tcp.set_nodelay(true)?;
    Ok(tcp)
}

impl Connector for TcpConnector {
    fn connect(&self, host: String, port: u16, tls: bool) -> BoxFuture<'static, io::Result<Box<dyn Io>>> {
        Box::pin(self.clone().open(host, port, tls))
    }
}

impl fmt::Debug for TcpConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpConnector").field("proxy", &self.proxy).finish_non_exhaustive()
    }
}

/// Configures a [`TcpConnector`]. Made by [`TcpConnector::builder`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct TcpConnectorBuilder {
    added: rustls::RootCertStore,
    only_added: bool,
    proxy: Option<Proxy>,
}

impl TcpConnectorBuilder {
    /// Trusts the certificates in a PEM text, one or more, beside the Mozilla root certificates: for servers, and proxies that
    /// are spoken to over TLS, of a private authority. May be called again for more.
    ///
    /// # Errors
    /// [`ErrorKind::Misuse`] when the text is not PEM, has no certificate in it, or one that cannot be used; it says which.
    pub fn add_root_certificates(mut self, pem: &[u8]) -> Result<Self, Error> {
        certificates::add(&mut self.added, pem).map_err(misuse)?;
        Ok(self)
    }

    /// Whether to trust the added root certificates only, and not those of Mozilla; off unless set.
    pub const fn only_root_certificates(mut self, only: bool) -> Self {
        self.only_added = only;
        self
    }

    /// The proxy; that of the environment unless set.
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.proxy = Some(proxy);
        self
    }

    /// Makes the connector.
    ///
    /// # Errors
    /// [`ErrorKind::Misuse`] when there is no root certificate left to trust, or TLS cannot be set up.
    pub fn build(self) -> Result<TcpConnector, Error> {
        let mut roots = self.added;
        if !self.only_added {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        } else if roots.is_empty() {
            return Err(misuse("only_root_certificates needs certificates: none was added".into()));
        }
        TcpConnector::with(roots, self.proxy.unwrap_or_default())
    }
}

fn misuse(text: String) -> Error {
    Error::new(ErrorKind::Misuse, text)
}

/// Host, port and whether to use TLS, of an `http` or `https` URL.
pub(super) fn authority(uri: &http::Uri) -> Result<(String, u16, bool), String> {
    let tls = match uri.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        _ => return Err(format!("'{uri}' is neither http nor https")),
    };
    let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| "the URL has no host".to_owned())?;
    Ok((host.to_owned(), uri.port_u16().unwrap_or(if tls { 443 } else { 80 }), tls))
}
