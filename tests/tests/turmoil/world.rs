//! A server and a client in a simulated network, and what happens to them.

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::serve::Listener;
use e2e::delivery::{HUB, Kind, Note, Pace, Verdict, client, judge, listen, server, speak};
use e2e::random::Random;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use hubwire::client::{DeliveryConfig, RetryPolicy};
use hubwire::{Connector, HubConnection, Io};
use hubwire_server::store::{MemoryStore, RedbDeliveryStore, StoreError};
use hubwire_server::{Config, DeliveryStore};
use parking_lot::Mutex;
use turmoil::Sim;
use turmoil::net::{TcpListener, TcpStream};

const SERVER: &str = "server";
const CLIENT: &str = "client";
const PORT: u16 = 80;
/// How long things go wrong.
const STORM: Duration = Duration::from_secs(30);
/// How long it may take afterwards until everything is where it belongs.
const CALM: Duration = Duration::from_secs(120);
const TICK: Duration = Duration::from_millis(2);

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misfortune {
    /// Nothing gets through; what was under way is lost, and TCP does not send it again.
    Partition,
    /// As that, from the server to the client only.
    OneWay,
    /// Nothing gets through for a while, and then everything.
    Hold,
    /// Messages take up to a second.
    Slow,
    /// The link breaks by chance, for moments.
    Lossy,
    /// The server ends without a word, and begins anew.
    ServerCrash,
    /// The client does.
    ClientCrash,
}

impl Misfortune {
    pub(crate) const ALL: [Self; 7] = [
        Self::Partition,
        Self::OneWay,
        Self::Hold,
        Self::Slow,
        Self::Lossy,
        Self::ServerCrash,
        Self::ClientCrash,
    ];
}

/// What the server has to keep messages in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Storage {
    None,
    /// A store that outlives the host.
    Memory,
    /// A redb file.
    File,
}

#[derive(Clone)]
enum Store {
    None,
    Memory(Arc<MemoryStore>),
    File(PathBuf),
}

impl Store {
    async fn open(&self) -> io::Result<Option<Arc<dyn DeliveryStore>>> {
        match self {
            Self::None => Ok(None),
            Self::Memory(store) => Ok(Some(store.clone())),
            Self::File(path) => loop {
                match RedbDeliveryStore::open(path) {
                    Ok(store) => return Ok(Some(Arc::new(store))),
                    // The host before lets go of it.
                    Err(StoreError::InUse(_)) => tokio::time::sleep(TICK).await,
                    Err(error) => return Err(io::Error::other(error)),
                }
            },
        }
    }
}

struct Network(TcpListener);

impl Listener for Network {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            match self.0.accept().await {
                Ok(accepted) => return accepted,
                Err(_) => tokio::time::sleep(TICK).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

struct Dialer;

impl Connector for Dialer {
    fn connect(&self, host: String, port: u16, _tls: bool) -> BoxFuture<'static, io::Result<Box<dyn Io>>> {
        async move {
            let stream = TcpStream::connect((host.as_str(), port)).await?;
            Ok(Box::new(stream) as Box<dyn Io>)
        }
        .boxed()
    }
}

fn failed(error: impl std::fmt::Display) -> Box<dyn std::error::Error> {
    error.to_string().into()
}

async fn serve(note: Note, store: Store, pace: Pace) -> turmoil::Result {
    let mut config = Config::default();
    config.times.keep_alive = Duration::from_secs(1);
    config.times.client_timeout = Duration::from_secs(5);
    note.note(Kind::Began, 0);
    let server = server(note.clone(), config, store.open().await?).map_err(failed)?;
    let clients = server.handle().hub(HUB).ok_or_else(|| failed("there is no hub"))?;
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).await?;
    tokio::spawn(speak(clients, note, pace));
    server.serve(Network(listener), std::future::pending()).await?;
    Ok(())
}

async fn visit(note: Note, seed: u64, memory: usize, refused: Arc<Mutex<BTreeSet<u64>>>) -> turmoil::Result {
    note.note(Kind::Began, 0);
    let mut delivery = DeliveryConfig::default();
    delivery.ack_window = memory;
    let builder = HubConnection::builder(format!("http://{SERVER}:{PORT}{HUB}"))
        .connector(Dialer)
        .seed(seed)
        .delivery(delivery)
        .retry(RetryPolicy::full_jitter(Duration::from_millis(200), Duration::from_secs(2)))
        .keep_alive_interval(Duration::from_secs(1))
        .server_timeout(Duration::from_secs(3))
        .handshake_timeout(Duration::from_secs(3))
        .request_timeout(Duration::from_secs(3));
    let refuses = move |number: u64| number.is_multiple_of(53) && refused.lock().insert(number);
    let connection = client(builder, &note, refuses).map_err(failed)?;
    listen(connection, note).await.map_err(failed)
}

pub(crate) struct World {
    sim: Sim<'static>,
    random: Random,
    server: Note,
    client: Note,
    enough: Arc<AtomicBool>,
    /// When what is wrong now ends, and what it is.
    until: Option<(Duration, Misfortune)>,
    _folder: Option<tempfile::TempDir>,
}

impl World {
    pub(crate) fn new(seed: u64, storage: Storage) -> Self {
        Self::with_memory(seed, storage, DeliveryConfig::default().ack_window)
    }

    /// With a client that remembers so many messages that it handled.
    pub(crate) fn with_memory(seed: u64, storage: Storage, memory: usize) -> Self {
        let mut sim = turmoil::Builder::new()
            .rng_seed(seed)
            .simulation_duration(STORM + CALM + Duration::from_secs(10))
            .tick_duration(TICK)
            .min_message_latency(Duration::from_millis(1))
            .max_message_latency(Duration::from_millis(40))
            .tcp_capacity(65_536)
            .build();
        let [server, client] = [Note::default(), Note::default()];
        let enough = Arc::new(AtomicBool::new(false));
        let folder = (storage == Storage::File).then(|| tempfile::tempdir().unwrap());
        let store = match &folder {
            Some(folder) => Store::File(folder.path().join("messages")),
            None if storage == Storage::Memory => Store::Memory(Arc::default()),
            None => Store::None,
        };
        let pace = Pace { messages: 50, stream: 20, enough: enough.clone() };
        let note = server.clone();
        sim.host(SERVER, move || serve(note.clone(), store.clone(), pace.clone()));
        let (note, refused) = (client.clone(), Arc::default());
        sim.host(CLIENT, move || visit(note.clone(), seed, memory, Arc::clone(&refused)));
        let random = Random::new(seed, 1);
        Self { sim, random, server, client, enough, until: None, _folder: folder }
    }

    /// Lets the misfortunes happen, one after the other, and then waits until everything has arrived.
    pub(crate) fn run(mut self, misfortunes: &[Misfortune]) -> Verdict {
        // Until then the server knows nobody to send to.
        while self.client.highest(Kind::Handled) == 0 {
            self.step();
        }
        let end = self.sim.elapsed() + STORM;
        while self.sim.elapsed() < end {
            self.suffer(misfortunes);
            self.step();
        }
        self.heal();
        // A little more, so that the stream goes on behind what is missing.
        let end = self.sim.elapsed() + Duration::from_secs(8);
        while self.sim.elapsed() < end {
            self.step();
        }
        self.enough.store(true, Ordering::SeqCst);
        let end = self.sim.elapsed() + CALM;
        loop {
            for _ in 0..500 {
                self.step();
            }
            let verdict = judge(&self.server.facts(), &self.client.facts());
            if (verdict.lost.is_empty() && verdict.silently_missing.is_empty()) || self.sim.elapsed() > end {
                return verdict;
            }
        }
    }

    fn step(&mut self) {
        self.sim.step().unwrap();
        assert!(self.sim.elapsed() < STORM + CALM + Duration::from_secs(60), "it does not come to an end");
    }

    fn suffer(&mut self, misfortunes: &[Misfortune]) {
        let now = self.sim.elapsed();
        match self.until {
            Some((until, _)) if now < until => return,
            Some(_) => {
                self.heal();
                return;
            }
            None => {}
        }
        // About every other second: enough to come back, or not quite.
        let chance = self.random.below(2_000);
        if misfortunes.is_empty() || chance >= u64::try_from(TICK.as_millis()).unwrap() {
            return;
        }
        let which = misfortunes[self.random.below(misfortunes.len() as u64) as usize];
        let lasts = match which {
            Misfortune::ServerCrash | Misfortune::ClientCrash => 50 + self.random.below(1_500),
            _ => 100 + self.random.below(5_000),
        };
        match which {
            Misfortune::Partition => self.sim.partition(SERVER, CLIENT),
            Misfortune::OneWay => self.sim.partition_oneway(SERVER, CLIENT),
            Misfortune::Hold => self.sim.hold(SERVER, CLIENT),
            Misfortune::Slow => {
                self.sim.set_link_max_message_latency(SERVER, CLIENT, Duration::from_secs(1));
            }
            Misfortune::Lossy => self.sim.set_link_fail_rate(SERVER, CLIENT, 0.05),
            Misfortune::ServerCrash => self.sim.crash(SERVER),
            Misfortune::ClientCrash => self.sim.crash(CLIENT),
        }
        self.until = Some((now + Duration::from_millis(lasts), which));
    }

    fn heal(&mut self) {
        let Some((_, misfortune)) = self.until.take() else { return };
        match misfortune {
            Misfortune::Partition | Misfortune::OneWay => self.sim.repair(SERVER, CLIENT),
            Misfortune::Hold => self.sim.release(SERVER, CLIENT),
            Misfortune::Slow => {
                self.sim.set_link_max_message_latency(SERVER, CLIENT, Duration::from_millis(40));
            }
            Misfortune::Lossy => {
                self.sim.set_link_fail_rate(SERVER, CLIENT, 0.0);
                self.sim.repair(SERVER, CLIENT);
            }
            Misfortune::ServerCrash => self.sim.bounce(SERVER),
            Misfortune::ClientCrash => self.sim.bounce(CLIENT),
        }
    }
}
