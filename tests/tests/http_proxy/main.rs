//! The Rust client behind HTTP proxies and with private certificates: through Tinyproxy, and through proxies that misbehave.
//!
//! The proxy of an explicit setting is used whatever the environment says; what the environment says is tried in a
//! process of its own (`connect-child`).
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod certificates;
mod environment;
mod hub;
mod misbehaving;
mod tinyproxy;

use std::time::Duration;

use hubwire::client::RetryPolicy;
use hubwire::protocol::Transport;
use hubwire::{Error, ErrorKind, HubConnection, HubConnectionBuilder, HubManager, Proxy};
use tokio::net::{TcpListener, TcpStream};

use hub::{Authority, EchoHub};
use tinyproxy::Tinyproxy;

const TRANSPORTS: [Transport; 3] =
    [Transport::WebSockets, Transport::ServerSentEvents, Transport::LongPolling];
/// How Tinyproxy is told whom to let in.
const CREDENTIALS: &str = "BasicAuth user p.s-s";

/// Fails the test rather than hanging it.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("not in time")
}

fn through(url: &str, proxy: &str) -> HubConnectionBuilder {
    HubConnection::builder(url).retry(RetryPolicy::never()).proxy(Proxy::parse(proxy).unwrap())
}

async fn echoes(builder: HubConnectionBuilder) {
    let connection = builder.build().unwrap();
    soon(connection.start()).await.unwrap();
    assert_eq!(soon(connection.invoke::<String>("Echo", ("hello",))).await.as_deref(), Ok("hello"));
    soon(connection.stop()).await;
}

/// Why a connection cannot be made.
async fn failure(builder: HubConnectionBuilder) -> Error {
    soon(builder.build().unwrap().start()).await.unwrap_err()
}

#[tokio::test]
async fn every_transport_goes_through_the_proxy_and_only_through_it() {
    let authority = Authority::new();
    for tls in [None, Some(&authority)] {
        for transport in TRANSPORTS {
            let Some(mut proxy) = Tinyproxy::start(CREDENTIALS).await else { return };
            let hub = EchoHub::start(tls).await;
            // %70 is p.
            let builder = through(&hub.url, &format!("http://user:%70.s-s@{}", proxy.address));
            echoes(builder.root_certificates(authority.pem.as_str()).transports([transport])).await;
            assert!(hub.accepted() > 0);
            proxy.tunnels(hub.accepted()).await;
        }
    }
}

#[tokio::test]
async fn a_proxy_that_is_spoken_to_over_tls() {
    let Some(mut proxy) = Tinyproxy::start(CREDENTIALS).await else { return };
    let authority = Authority::new();
    // Tinyproxy itself cannot.
    let front = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let secured = format!("https://user:p.s-s@localhost:{}", front.local_addr().unwrap().port());
    let (acceptor, back) = (authority.acceptor.clone(), proxy.address.clone());
    tokio::spawn(async move {
        loop {
            let (tcp, _) = front.accept().await.unwrap();
            let (acceptor, back) = (acceptor.clone(), back.clone());
            tokio::spawn(async move {
                let Ok(mut client) = acceptor.accept(tcp).await else { return };
                let mut proxy = TcpStream::connect(back).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut client, &mut proxy).await;
            });
        }
    });
    let mut expected = 0;
    for tls in [None, Some(&authority)] {
        let hub = EchoHub::start(tls).await;
        echoes(through(&hub.url, &secured).root_certificates(authority.pem.as_str())).await;
        expected += hub.accepted();
        proxy.tunnels(expected).await;
        let error = failure(through(&hub.url, &secured)).await;
        assert!(error.detail().contains("cannot be reached: invalid peer certificate"), "{error}");
    }
}

/// The hubs of a manager share a connector, unless they are told of a proxy.
#[tokio::test]
async fn the_hubs_of_a_manager_have_a_proxy_when_they_are_told() {
    let Some(mut proxy) = Tinyproxy::start(CREDENTIALS).await else { return };
    let hub = EchoHub::start(None).await;
    let server = format!("http://user:p.s-s@{}", proxy.address);
    let manager = HubManager::builder(hub.url.trim_end_matches("/hub"))
        .configure(move |builder| builder.proxy(Proxy::parse(&server).unwrap()))
        .build()
        .unwrap();
    let connection = soon(manager.connect("/hub")).await.unwrap();
    assert_eq!(soon(connection.invoke::<String>("Echo", ("hello",))).await.as_deref(), Ok("hello"));
    proxy.tunnels(hub.accepted()).await;
}

/// The text of a refusal names the proxy, the server and the status, and no password.
#[tokio::test]
async fn what_the_proxy_refuses_is_told() {
    let Some(mut proxy) = Tinyproxy::start(CREDENTIALS).await else { return };
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hub = EchoHub::start(None).await;
    let nobody = free.local_addr().unwrap().to_string();
    drop(free);
    let address = proxy.address.clone();
    for (user, target, status) in [
        ("", hub.address.as_str(), "407 (it wants credentials)"),
        // Others answer wrong credentials with 407 as well.
        ("user:secret@", hub.address.as_str(), "401 (it wants other credentials)"),
        ("user:p.s-s@", "forbidden.example:443", "403 (Forbidden)"),
        ("user:p.s-s@", nobody.as_str(), "500 (Internal Server Error)"),
    ] {
        for skip_negotiation in [false, true] {
            let url = format!("http://{target}/hub");
            let builder = through(&url, &format!("http://{user}{address}"));
            let error = failure(builder.skip_negotiation(skip_negotiation)).await;
            let wanted = format!("The proxy {address} refused the connection to {target}: status {status}");
            assert!(error.detail().contains(&wanted), "{error}, not {wanted}");
            assert_eq!(error.kind(), ErrorKind::Network);
            assert!(!error.to_string().contains("secret") && !error.to_string().contains("p.s-s"), "{error}");
            proxy.asked_for(target).await;
        }
    }
    assert_eq!(hub.accepted(), 0);
}
