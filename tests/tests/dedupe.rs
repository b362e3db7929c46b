//! Calls in flight when the network is cut: the client makes them again, the server runs them once.
#![allow(clippy::unwrap_used, missing_docs)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use e2e::proxy::Proxy;
use hubwire::client::RetryPolicy;
use hubwire::protocol::{Encoding, Transport};
use hubwire::{ErrorKind, HubConnection};
use hubwire_server::testing::TestServer;
use hubwire_server::{Hub, HubError, HubOptions, Server, State};
use tokio::sync::{Notify, mpsc};

#[derive(Clone)]
struct Signals {
    runs: Arc<AtomicU64>,
    began: mpsc::UnboundedSender<()>,
    go: Arc<Notify>,
}

async fn pay(State(signals): State<Signals>) -> Result<u64, HubError> {
    let run = signals.runs.fetch_add(1, Ordering::SeqCst) + 1;
    signals.began.send(())?;
    signals.go.notified().await;
    Ok(run)
}

fn server(signals: &Signals, options: HubOptions) -> Server {
    let hub = Hub::builder().state(signals.clone()).method("Pay", pay).build().unwrap();
    Server::builder().hub_with("/hub", hub, options).build().unwrap()
}

fn signals() -> (Signals, mpsc::UnboundedReceiver<()>) {
    let (began, begun) = mpsc::unbounded_channel();
    (Signals { runs: Arc::default(), began, go: Arc::new(Notify::new()) }, begun)
}

/// Fails the test rather than hanging it.
async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future)
        .await
        .unwrap_or_else(|_| panic!("{what}: not in time"))
}

async fn connect(proxy: &Proxy, encoding: Encoding, transport: Transport) -> HubConnection {
    let connection = HubConnection::builder(format!("http://{}/hub", proxy.address()))
        .retry(RetryPolicy::table(vec![Duration::from_millis(10); 1_000]))
        .encoding(encoding)
        .transports([transport])
        .build()
        .unwrap();
    soon("the start", connection.start()).await.unwrap();
    connection
}

#[tokio::test]
async fn a_call_in_flight_at_a_cut_runs_once() {
    let (signals, mut begun) = signals();
    let server = TestServer::start(server(&signals, HubOptions::default())).await.unwrap();
    let proxy = Proxy::start(server.address()).await.unwrap();
    let mut run = 0;
    for (encoding, transport) in [
        (Encoding::Json, Transport::WebSockets),
        (Encoding::MessagePack, Transport::WebSockets),
        (Encoding::Json, Transport::ServerSentEvents),
    ] {
        let what = format!("{} over {}", encoding.name(), transport.name());
        let connection = connect(&proxy, encoding, transport).await;
        let call = connection.invoke::<u64>("Pay", ());
        let cuts = async {
            begun.recv().await.unwrap();
            let repetitions = || server.handle().statistics().hubs[0].dedupe.unwrap().duplicates;
            for _ in 0..2 {
                let before = repetitions();
                assert!(proxy.reset_all() > 0);
                while repetitions() == before {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
            signals.go.notify_one();
        };
        let (result, ()) = soon(&what, async { tokio::join!(call, cuts) }).await;
        run += 1;
        assert_eq!(result, Ok(run), "{what}");
        soon(&what, connection.stop()).await;
    }
    assert_eq!(signals.runs.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn without_the_feature_its_outcome_is_unknown() {
    let (signals, mut begun) = signals();
    let options = HubOptions { dedupe: None, ..HubOptions::default() };
    let server = TestServer::start(server(&signals, options)).await.unwrap();
    let proxy = Proxy::start(server.address()).await.unwrap();
    let connection = connect(&proxy, Encoding::Json, Transport::WebSockets).await;
    let call = connection.invoke::<u64>("Pay", ());
    let cut = async {
        begun.recv().await.unwrap();
        assert!(proxy.reset_all() > 0);
    };
    let (result, ()) = soon("the call", async { tokio::join!(call, cut) }).await;
    assert_eq!(result.unwrap_err().kind(), ErrorKind::OutcomeUnknown);
    assert_eq!(signals.runs.load(Ordering::SeqCst), 1);
}
