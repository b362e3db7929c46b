//! A TCP proxy that does what networks do: it is slow, tears messages apart, falls silent, and ends connections in every
//! way, at any byte. It stands in front of any address on 127.0.0.1 and takes orders while it runs, for all connections or
//! for one.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use e2e::proxy::{EndAfter, Ending, Faults, Lane, Proxy};
//!
//! let proxy = Proxy::start("127.0.0.1:5000").await?;
//! // … connect to proxy.address() …
//! proxy.set(Faults::black_hole());
//! proxy.set(Faults::default());
//! let end = EndAfter { bytes: 100, how: Ending::Reset };
//! proxy.set(Faults { to_client: Lane { end_after: Some(end), ..Lane::default() }, ..Faults::default() });
//! proxy.cut_all();
//! # Ok(())
//! # }
//! ```
//!
//! `cargo run -p e2e --bin fault-proxy` is the same for suites that are not written in Rust.

mod command;
mod connection;
mod faults;
mod lane;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use self::connection::{Connection, Traffic};
pub use self::faults::{Accept, EndAfter, Ending, Faults, Lane, Slice};
pub use self::lane::BUFFER;

/// A running proxy. Dropping it resets all its connections.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

struct Shared {
    upstream: String,
    faults: watch::Sender<Faults>,
    /// The open connections, oldest first.
    open: Mutex<Vec<Connection>>,
    accepted: AtomicU64,
    /// Whether there is a listener.
    listening: AtomicBool,
    /// What connections that are closed by now have forwarded.
    past: Mutex<Traffic>,
    /// Told of everything that a counter shows.
    progress: watch::Sender<()>,
}

impl Proxy {
    /// Listens on a free port of 127.0.0.1 and forwards to `upstream`, given as `HOST:PORT`.
    pub async fn start(upstream: impl ToString) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            upstream: upstream.to_string(),
            faults: watch::Sender::new(Faults::default()),
            open: Mutex::default(),
            accepted: AtomicU64::new(0),
            listening: AtomicBool::new(true),
            past: Mutex::default(),
            progress: watch::Sender::new(()),
        });
        let accepting = tokio::spawn(accept(listener, address, Arc::clone(&shared)));
        Ok(Self { address, shared, accepting })
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The faults that new connections get.
    pub fn faults(&self) -> Faults {
        self.shared.faults.borrow().clone()
    }

    /// Sets the faults of all connections, open and future.
    pub fn set(&self, faults: Faults) {
        // Under the lock, so that no connection is added between the two steps with the old faults.
        let open = self.shared.open.lock();
        for connection in open.iter() {
            connection.set(&faults);
        }
        self.shared.faults.send_replace(faults);
    }

    /// Waits until it listens, or does not, as the faults say.
    pub async fn settled(&self) {
        let is_settled = |proxy: &Self| {
            proxy.shared.listening.load(Ordering::Acquire) == (proxy.faults().accept != Accept::Refuse)
        };
        self.until(is_settled).await;
    }

    /// Closes all open connections towards both sides, and says how many those were.
    pub fn cut_all(&self) -> usize {
        self.end_all(Ending::Cut)
    }

    /// Resets all open connections towards both sides, and says how many those were.
    pub fn reset_all(&self) -> usize {
        self.end_all(Ending::Reset)
    }

    fn end_all(&self, how: Ending) -> usize {
        let open = self.connections();
        open.iter().for_each(|connection| connection.end(how));
        open.len()
    }

    /// The open connections, oldest first.
    pub fn connections(&self) -> Vec<Connection> {
        self.shared.open.lock().clone()
    }

    /// How many connections clients have made so far, with those that were refused after being accepted.
    pub fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::Relaxed)
    }

    /// What all connections together have forwarded, closed ones included.
    pub fn traffic(&self) -> Traffic {
        let open = self.shared.open.lock();
        open.iter().fold(*self.shared.past.lock(), |sum, connection| sum + connection.traffic())
    }

    /// Waits until the proxy is as the question wants it. Asked whenever a counter has changed.
    pub async fn until(&self, question: impl Fn(&Self) -> bool) {
        let mut progress = self.shared.progress.subscribe();
        while !question(self) {
            // The sender lives as long as this proxy.
            let _ = progress.changed().await;
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("address", &self.address)
            .field("upstream", &self.shared.upstream)
            .field("connections", &self.shared.open.lock().len())
            .finish_non_exhaustive()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.reset_all();
    }
}

impl Shared {
    fn progress(&self) {
        self.progress.send_replace(());
    }

    fn listens(&self, listens: bool) {
        self.listening.store(listens, Ordering::Release);
        self.progress();
    }

    fn open(&self, number: u64) -> Connection {
        let mut open = self.open.lock();
        let connection = Connection::new(number, &self.faults.borrow());
        open.push(connection.clone());
        connection
    }

    fn close(&self, connection: &Connection) {
        let mut open = self.open.lock();
        open.retain(|other| other.number() != connection.number());
        let mut past = self.past.lock();
        *past = *past + connection.traffic();
        drop((open, past));
        connection.closed();
        self.progress();
    }
}

/// Accepts connections, or does not, as the faults say.
async fn accept(listener: TcpListener, address: SocketAddr, shared: Arc<Shared>) {
    let mut faults = shared.faults.subscribe();
    let mut listener = Some(listener);
    loop {
        let accept = faults.borrow_and_update().accept;
        if accept == Accept::Refuse {
            // Only without a listener does the system answer with RST.
            listener = None;
            shared.listens(false);
            if faults.changed().await.is_err() {
                return;
            }
            continue;
        }
        let Some(listening) = &listener else {
            match TcpListener::bind(address).await {
                Ok(again) => {
                    listener = Some(again);
                    shared.listens(true);
                }
                // Somebody's outgoing connection has the port for a moment.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
            continue;
        };
        tokio::select! {
            changed = faults.changed() => if changed.is_err() { return },
            accepted = listening.accept() => {
                // An error here is of the connection that was given up, or a lack of file descriptors that passes.
                let Ok((client, _)) = accepted else {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                };
                let number = shared.accepted.fetch_add(1, Ordering::Relaxed) + 1;
                // Asked again: it may have changed while this waited.
                match faults.borrow().accept {
                    Accept::Forward => {
                        tokio::spawn(serve(client, number, Arc::clone(&shared)));
                    }
                    Accept::Reset | Accept::Refuse => drop(client.set_zero_linger()),
                    Accept::Close => drop(client),
                }
                shared.progress();
            }
        }
    }
}

async fn serve(client: TcpStream, number: u64, shared: Arc<Shared>) {
    let connection = shared.open(number);
    shared.progress();
    match TcpStream::connect(&shared.upstream).await {
        Ok(upstream) => connection.run(client, upstream, || shared.progress()).await,
        // What a client sees whose server is not there, as far as an accepted connection can show it.
        Err(_) => drop(client.set_zero_linger()),
    }
    shared.close(&connection);
}
