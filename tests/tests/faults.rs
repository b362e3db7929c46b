//! Client and server with a bad network between them, on every transport.
#![allow(clippy::unwrap_used, missing_docs)]

use std::num::NonZeroUsize;
use std::time::Duration;

use e2e::proxy::{EndAfter, Ending, Faults, Lane, Proxy, Slice};
use hubwire::client::{Cause, ConnectionState, OutboxConfig, RetryPolicy};
use hubwire::protocol::{Encoding, Transport};
use hubwire::{ErrorKind, HubConnection, HubConnectionBuilder};
use hubwire_server::testing::TestServer;
use hubwire_server::{Context, Hub, HubError, Server};
use tokio::sync::mpsc;

const ENCODINGS: [Encoding; 2] = [Encoding::Json, Encoding::MessagePack];

async fn echo(text: String) -> Result<String, HubError> {
    Ok(text)
}

async fn push(ctx: Context, count: u32) -> Result<(), HubError> {
    for number in 0..count {
        ctx.clients().caller().send("Pushed", (number,))?;
    }
    Ok(())
}

async fn start() -> (TestServer, Proxy) {
    let hub = Hub::builder().method("Echo", echo).method("Push", push).build().unwrap();
    let server = TestServer::start(Server::builder().hub("/hub", hub).build().unwrap()).await.unwrap();
    let proxy = Proxy::start(server.address()).await.unwrap();
    (server, proxy)
}

fn builder(proxy: &Proxy, encoding: Encoding, transport: Transport) -> HubConnectionBuilder {
    HubConnection::builder(format!("http://{}/hub", proxy.address()))
        .retry(RetryPolicy::never())
        .outbox(OutboxConfig::off())
        .encoding(encoding)
        .transports([transport])
}

/// Fails the test rather than hanging it.
async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future)
        .await
        .unwrap_or_else(|_| panic!("{what}: not in time"))
}

/// Every transport with every encoding it can carry.
fn combinations() -> impl Iterator<Item = (Encoding, Transport)> {
    let all =
        ENCODINGS.into_iter().flat_map(|encoding| Transport::ALL.map(|transport| (encoding, transport)));
    all.filter(|(encoding, transport)| transport.formats().contains(encoding.transfer_format()))
}

#[tokio::test]
async fn bytes_that_come_in_crumbs_and_late_change_nothing() {
    let (_server, proxy) = start().await;
    let slice = Slice { longest: NonZeroUsize::new(7).unwrap(), pause: Duration::ZERO };
    let lane = Lane {
        slice: Some(slice),
        delay: Duration::from_millis(1),
        jitter: Duration::from_millis(1),
        ..Lane::default()
    };
    proxy.set(Faults { seed: 5, ..Faults::both(lane) });
    for (encoding, transport) in combinations() {
        let what = format!("{} over {}", encoding.name(), transport.name());
        let connection = builder(&proxy, encoding, transport).build().unwrap();
        let (sender, mut pushed) = mpsc::unbounded_channel();
        connection.on("Pushed", move |number: u32| sender.send(number).unwrap());
        soon(&what, connection.start()).await.unwrap();
        let text = "Grüße, 世界 😀 ".repeat(30);
        assert_eq!(soon(&what, connection.invoke::<String>("Echo", (&text,))).await, Ok(text), "{what}");
        soon(&what, connection.invoke::<()>("Push", (50,))).await.unwrap();
        for number in 0..50 {
            assert_eq!(soon(&what, pushed.recv()).await, Some(number), "{what}");
        }
        soon(&what, connection.stop()).await;
    }
}

#[tokio::test]
async fn a_connection_that_is_half_open_is_noticed_within_the_server_timeout() {
    for transport in [Transport::WebSockets, Transport::ServerSentEvents] {
        let (_server, proxy) = start().await;
        let timeout = Duration::from_millis(300);
        let connection = builder(&proxy, Encoding::Json, transport).server_timeout(timeout).build().unwrap();
        let (sender, mut causes) = mpsc::unbounded_channel();
        connection.on_state_change(move |change| {
            if change.to == ConnectionState::Disconnected {
                sender.send(change.cause.clone()).unwrap();
            }
        });
        connection.start().await.unwrap();
        proxy.set(Faults::black_hole());
        let call = connection.invoke::<String>("Echo", ("lost",));
        let error = soon("the call", call).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error}");
        let Some(Cause::Failed(error)) = soon("the end", causes.recv()).await else { panic!("no failure") };
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    }
}

/// Wherever the connection is cut, the call or the start ends with an error, and another connection works.
#[tokio::test]
async fn a_cut_at_any_byte_ends_what_waits() {
    for (encoding, transport) in combinations() {
        for how in [Ending::Cut, Ending::Reset] {
            for bytes in [0, 1, 50, 150, 300, 420, 500, 560, 600, 1000, 1500] {
                let what = format!("{} over {}, {how:?} after {bytes}", encoding.name(), transport.name());
                let (_server, proxy) = start().await;
                let ending = Lane { end_after: Some(EndAfter { bytes, how }), ..Lane::default() };
                proxy.set(Faults { to_client: ending, ..Faults::default() });
                let connection = builder(&proxy, encoding, transport).build().unwrap();
                if soon(&what, connection.start()).await.is_ok() {
                    let mut left = 400;
                    while left > 0 && soon(&what, connection.invoke::<String>("Echo", ("x",))).await.is_ok() {
                        left -= 1;
                    }
                    // The requests of long polling may come over one connection each.
                    assert!(left > 0 || transport == Transport::LongPolling, "{what}: nothing was cut");
                    if left == 0 {
                        continue;
                    }
                    soon(&what, connection.wait_for(ConnectionState::Disconnected)).await;
                }
                proxy.set(Faults::default());
                soon(&what, connection.start()).await.unwrap();
                assert_eq!(
                    soon(&what, connection.invoke::<String>("Echo", ("x",))).await,
                    Ok("x".into()),
                    "{what}"
                );
            }
        }
    }
}
