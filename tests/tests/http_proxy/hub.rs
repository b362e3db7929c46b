//! A hub over plain TCP or TLS that counts the connections it got, and the authority that its certificate is of.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hubwire::Io;
use hubwire_server::{Hub, HubError, Server};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// An authority that nobody trusts unless told to, with a certificate for this machine.
pub struct Authority {
    pub pem: String,
    pub acceptor: TlsAcceptor,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            )
            .unwrap();
        Self { pem: authority.pem(), acceptor: TlsAcceptor::from(Arc::new(config)) }
    }
}

struct Listener {
    tcp: TcpListener,
    tls: Option<TlsAcceptor>,
    accepted: Arc<AtomicUsize>,
}

impl axum::serve::Listener for Listener {
    type Io = Box<dyn Io>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let (tcp, address) = self.tcp.accept().await.unwrap();
            self.accepted.fetch_add(1, Ordering::SeqCst);
            match &self.tls {
                None => return (Box::new(tcp), address),
                // A client that does not trust the certificate is refused here.
                Some(tls) => {
                    if let Ok(secured) = tls.accept(tcp).await {
                        return (Box::new(secured), address);
                    }
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

async fn echo(text: String) -> Result<String, HubError> {
    Ok(text)
}

/// A running hub with the method `Echo`.
pub struct EchoHub {
    pub url: String,
    /// Its host and port.
    pub address: String,
    accepted: Arc<AtomicUsize>,
}

impl EchoHub {
    pub async fn start(tls: Option<&Authority>) -> Self {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = tcp.local_addr().unwrap().to_string();
        let accepted = Arc::new(AtomicUsize::new(0));
        let scheme = if tls.is_some() { "https" } else { "http" };
        let acceptor = tls.map(|authority| authority.acceptor.clone());
        let listener = Listener { tcp, tls: acceptor, accepted: accepted.clone() };
        let hub = Hub::builder().method("Echo", echo).build().unwrap();
        let server = Server::builder().hub("/hub", hub).build().unwrap();
        tokio::spawn(server.serve(listener, std::future::pending()));
        Self { url: format!("{scheme}://{address}/hub"), address, accepted }
    }

    /// How many connections came so far, through a proxy or not.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}
