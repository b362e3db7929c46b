//! Calls in flight when the network is cut: the client makes them again, the server runs them once.
#![allow(clippy::unwrap_used, missing_docs)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use e2e::proxy::Proxy;
use hubwire::client::RetryPolicy;
use hubwire::protocol::{Encoding, Transport};
use hubwire::{ErrorKind, HubConnection};
use hubwire_server::store::{Change, MemoryStore};
use hubwire_server::testing::TestServer;
use hubwire_server::{DeliveryStore, Hub, HubError, HubOptions, Server, State};
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

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

/// A server on a port, until the task is aborted; methods go on.
async fn serve(listener: TcpListener, signals: &Signals, store: Arc<MemoryStore>) -> JoinHandle<()> {
    let hub = Hub::builder().state(signals.clone()).method("Pay", pay).build().unwrap();
    let server = Server::builder().hub("/hub", hub).store(store).build().unwrap();
    tokio::spawn(async move { server.serve(listener, std::future::pending()).await.unwrap() })
}

const TABLE: &str = "calls /hub";

/// What the next process would find if this one died now.
fn copy(store: &MemoryStore) -> Arc<MemoryStore> {
    let copy = MemoryStore::new();
    let put = |(key, value)| Change::Put { table: TABLE.into(), key, value };
    copy.apply(&store.load(TABLE).unwrap().records.into_iter().map(put).collect::<Vec<_>>()).unwrap();
    Arc::new(copy)
}

#[tokio::test]
async fn a_call_in_flight_at_a_restart_runs_once() {
    // Whether the method comes to its end before the process does.
    for ends in [true, false] {
        let (signals, mut begun) = signals();
        let store = Arc::new(MemoryStore::new());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let first = serve(listener, &signals, store.clone()).await;
        let proxy = Proxy::start(address).await.unwrap();
        let connection = connect(&proxy, Encoding::Json, Transport::WebSockets).await;
        let call = connection.invoke::<u64>("Pay", ());
        let restart = async {
            begun.recv().await.unwrap();
            let claimed = copy(&store);
            // The port is free when the listener is gone.
            first.abort();
            assert!(first.await.unwrap_err().is_cancelled());
            assert!(proxy.reset_all() > 0);
            let left = if ends {
                let before = store.load(TABLE).unwrap();
                signals.go.notify_one();
                while store.load(TABLE).unwrap() == before {
                    tokio::task::yield_now().await;
                }
                store
            } else {
                claimed
            };
            serve(TcpListener::bind(address).await.unwrap(), &signals, left).await.abort_handle()
        };
        let (result, second) = soon("the call", async { tokio::join!(call, restart) }).await;
        if ends {
            assert_eq!(result, Ok(1));
        } else {
            let error = result.unwrap_err().to_string();
            assert!(error.contains("whether it took effect is not known"), "{error}");
        }
        assert_eq!(signals.runs.load(Ordering::SeqCst), 1);
        soon("the stop", connection.stop()).await;
        second.abort();
    }
}
