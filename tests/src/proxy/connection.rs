//! One client's way through the proxy.

use std::future::pending;
use std::ops::Add;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::faults::{Ending, Faults, Lane};
use super::lane::{self, Order, Over};

/// How long a closed connection is still read, so that the peer's last bytes do not turn FIN into RST.
const LINGER: Duration = Duration::from_secs(2);

/// Bytes that were forwarded in each direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Traffic {
    /// From clients to the upstream server.
    pub to_upstream: u64,
    /// From the upstream server to clients.
    pub to_client: u64,
}

impl Add for Traffic {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            to_upstream: self.to_upstream + other.to_upstream,
            to_client: self.to_client + other.to_client,
        }
    }
}

/// A handle to one connection, which may be closed by now.
#[derive(Debug, Clone)]
pub struct Connection(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    number: u64,
    to_upstream: Direction,
    to_client: Direction,
    /// How to end it, once somebody has asked for that.
    ending: watch::Sender<Option<Ending>>,
    open: watch::Sender<bool>,
}

#[derive(Debug)]
struct Direction {
    order: watch::Sender<Order>,
    forwarded: AtomicU64,
}

impl Direction {
    fn new(faults: Lane, seed: u64) -> Self {
        let direction = Self { order: watch::Sender::default(), forwarded: AtomicU64::new(0) };
        direction.set(faults, seed);
        direction
    }

    fn set(&self, faults: Lane, seed: u64) {
        let end_at = faults.end_after.map(|end| self.forwarded() + end.bytes);
        self.order.send_replace(Order { faults, seed, end_at });
    }

    fn forwarded(&self) -> u64 {
        self.forwarded.load(Ordering::Relaxed)
    }
}

impl Connection {
    pub(super) fn new(number: u64, faults: &Faults) -> Self {
        Self(Arc::new(Shared {
            number,
            to_upstream: Direction::new(faults.to_upstream, faults.seed),
            to_client: Direction::new(faults.to_client, faults.seed),
            ending: watch::Sender::new(None),
            open: watch::Sender::new(true),
        }))
    }

    /// The first connection that the proxy accepted has number 1.
    pub fn number(&self) -> u64 {
        self.0.number
    }

    /// Sets the faults of this connection alone. `accept` has no meaning here.
    pub fn set(&self, faults: &Faults) {
        self.0.to_upstream.set(faults.to_upstream, faults.seed);
        self.0.to_client.set(faults.to_client, faults.seed);
    }

    /// Closes it towards both sides. What the buffers hold is lost.
    pub fn cut(&self) {
        self.end(Ending::Cut);
    }

    /// Resets it towards both sides.
    pub fn reset(&self) {
        self.end(Ending::Reset);
    }

    pub(super) fn end(&self, how: Ending) {
        self.0.ending.send_replace(Some(how));
    }

    /// What it has forwarded.
    pub fn traffic(&self) -> Traffic {
        Traffic { to_upstream: self.0.to_upstream.forwarded(), to_client: self.0.to_client.forwarded() }
    }

    /// Whether both sides are still connected with the proxy.
    pub fn is_open(&self) -> bool {
        *self.0.open.borrow()
    }

    /// Waits for its end.
    pub async fn until_closed(&self) {
        // An error would say that the sender is gone, which this handle keeps.
        let _ = self.0.open.subscribe().wait_for(|open| !open).await;
    }

    pub(super) fn closed(&self) {
        self.0.open.send_replace(false);
    }

    /// Forwards until one side or somebody with a handle ends it.
    pub(super) async fn run(&self, mut client: TcpStream, mut upstream: TcpStream, progress: impl Fn()) {
        // Writes are to leave as they are made. It fails only on a socket that is gone, which shows soon enough.
        let _ = client.set_nodelay(true);
        let _ = upstream.set_nodelay(true);
        let mut ending = self.0.ending.subscribe();
        let over = {
            let (from_client, to_client) = client.split();
            let (from_upstream, to_upstream) = upstream.split();
            let stream = self.0.number * 2;
            let Shared { to_upstream: up, to_client: down, .. } = &*self.0;
            let up = lane::forward(
                from_client,
                to_upstream,
                up.order.subscribe(),
                stream,
                &up.forwarded,
                &progress,
            );
            let down = lane::forward(
                from_upstream,
                to_client,
                down.order.subscribe(),
                stream + 1,
                &down.forwarded,
                &progress,
            );
            tokio::select! {
                result = both(up, down) => result,
                how = asked_for(&mut ending) => Err(Over::Faults(how)),
            }
        };
        match over {
            // Both sides have ended their streams and know it.
            Ok(()) => {}
            Err(Over::Faults(Ending::Cut)) => {
                // Not waited for: as far as the proxy is concerned, the connection is over now.
                tokio::spawn(close(client));
                tokio::spawn(close(upstream));
            }
            Err(Over::Faults(Ending::Reset) | Over::Broken) => {
                let _ = client.set_zero_linger();
                let _ = upstream.set_zero_linger();
            }
        }
    }
}

async fn asked_for(ending: &mut watch::Receiver<Option<Ending>>) -> Ending {
    let how = ending.wait_for(Option::is_some).await.ok().and_then(|how| *how);
    match how {
        Some(how) => how,
        None => pending().await,
    }
}

/// Ends with the first failure, or when both are done.
async fn both(
    up: impl Future<Output = Result<(), Over>>,
    down: impl Future<Output = Result<(), Over>>,
) -> Result<(), Over> {
    tokio::try_join!(up, down).map(|_| ())
}

/// FIN now; the socket stays until the peer has closed its side, because unread bytes would make the system send RST.
async fn close(mut socket: TcpStream) {
    if socket.shutdown().await.is_err() {
        return;
    }
    let mut rest = vec![0; 4096];
    let drained = async { while matches!(socket.read(&mut rest).await, Ok(length) if length > 0) {} };
    let _ = tokio::time::timeout(LINGER, drained).await;
}
