use std::fmt;
use std::io;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::{Error, ErrorKind};

/// A byte stream to a server: TCP, TLS, or anything else.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Io for T {}

/// Opens byte streams for HTTP and WebSockets. Implement it for proxies, tunnels and simulated networks.
pub trait Connector: Send + Sync + 'static {
    /// Connects to a host and port; through TLS if `tls` is set.
    fn connect(&self, host: String, port: u16, tls: bool) -> BoxFuture<'static, io::Result<Box<dyn Io>>>;
}

/// Connects over TCP, with rustls and the Mozilla root certificates for `https`.
#[derive(Clone)]
pub struct TcpConnector {
    tls: Arc<rustls::ClientConfig>,
}

impl TcpConnector {
    /// With the Mozilla root certificates.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new() -> Result<Self, Error> {
        let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        Self::with_roots(roots)
    }

    /// With these root certificates instead: for a private authority.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn with_roots(roots: rustls::RootCertStore) -> Result<Self, Error> {
        // Named here: rustls would look for a provider of the process otherwise, and panic without one.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::new(ErrorKind::Misuse, format!("TLS cannot be set up: {error}")))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { tls: Arc::new(tls) })
    }
}

impl Connector for TcpConnector {
    fn connect(&self, host: String, port: u16, tls: bool) -> BoxFuture<'static, io::Result<Box<dyn Io>>> {
        let config = self.tls.clone();
        Box::pin(async move {
            // An IPv6 address is in brackets in a URL.
            let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
            let tcp = TcpStream::connect((host.as_str(), port)).await?;
            // Messages are small and written whole: waiting for more would only delay them.
            tcp.set_nodelay(true)?;
            if !tls {
                return Ok(Box::new(tcp) as Box<dyn Io>);
            }
            let name = ServerName::try_from(host)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
            let stream = TlsConnector::from(config).connect(name, tcp).await?;
            Ok(Box::new(stream) as Box<dyn Io>)
        })
    }
}

impl fmt::Debug for TcpConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpConnector").finish_non_exhaustive()
    }
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
