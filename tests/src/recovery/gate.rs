//! A gateway that reads the heads of HTTP requests, as balancers and proxies do, and does to them what they do.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, copy_bidirectional, sink};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What becomes of requests.
#[derive(Clone, Debug)]
pub(super) enum Rule {
    Forward,
    /// All are answered with this status line and these headers.
    Answer(&'static str),
    /// Those without this token are answered with 401.
    Token(&'static str),
    /// WebSockets are refused, and the longest of requests as well if so said.
    Refuse {
        event_streams: bool,
    },
    /// The next WebSocket opens, and what the client says on it never arrives.
    DeafOnce,
    /// WebSockets are closed as soon as the handshake is answered.
    CloseAfterHandshake,
}

/// A running gateway.
pub(super) struct Gate {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

struct Shared {
    upstream: SocketAddr,
    rule: Mutex<Rule>,
    cuts: watch::Sender<u64>,
}

/// What becomes of one request.
enum Way {
    Forward,
    Answer(&'static str),
    Deaf,
    CloseAfterHandshake,
}

const UNAUTHORIZED: &str = "401 Unauthorized";
const FORBIDDEN: &str = "403 Forbidden";
/// Larger than any head of this crate's client.
const HEAD: usize = 16 << 10;

impl Gate {
    pub(super) async fn start(upstream: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared =
            Arc::new(Shared { upstream, rule: Mutex::new(Rule::Forward), cuts: watch::Sender::new(0) });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, accepting })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// For requests from now on.
    pub(super) fn set(&self, rule: Rule) {
        *self.shared.rule.lock() = rule;
    }

    /// Ends all connections.
    pub(super) fn cut(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        let shared = Arc::clone(&shared);
        let mut cuts = shared.cuts.subscribe();
        tokio::spawn(async move {
            tokio::select! {
                // How it ends is what the client makes of it.
                _ = serve(client, &shared) => {}
                _ = cuts.changed() => {}
            }
        });
    }
}

/// One request: whatever is forwarded says that there will be no other on this connection.
async fn serve(mut client: TcpStream, shared: &Shared) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut head = Vec::new();
    let end = loop {
        if client.read_buf(&mut head).await? == 0 || head.len() > HEAD {
            return Ok(());
        }
        if let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
    };
    let text = String::from_utf8_lossy(&head[..end]).to_lowercase();
    let way = shared.rule.lock().way(&text);
    if let Way::Answer(status) = way {
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        client.write_all(answer.as_bytes()).await?;
        client.shutdown().await?;
        // Unread bytes would turn the end into a reset, and lose the answer.
        return copy(&mut client, &mut sink()).await.map(drop);
    }
    let mut upstream = TcpStream::connect(shared.upstream).await?;
    upstream.set_nodelay(true)?;
    upstream.write_all(&head[..end]).await?;
    if !is_websocket(&text) {
        upstream.write_all(b"\r\nconnection: close").await?;
    }
    upstream.write_all(&head[end..]).await?;
    match way {
        Way::Deaf => {
            let (mut from_client, mut to_client) = client.split();
            let (mut from_upstream, _kept) = upstream.split();
            let mut nowhere = sink();
            tokio::try_join!(copy(&mut from_client, &mut nowhere), copy(&mut from_upstream, &mut to_client))?;
        }
        Way::CloseAfterHandshake => {
            let (mut from_client, mut to_client) = client.split();
            let (mut from_upstream, mut to_upstream) = upstream.split();
            tokio::select! {
                ended = copy(&mut from_client, &mut to_upstream) => drop(ended?),
                ended = forward_handshake(&mut from_upstream, &mut to_client) => ended?,
            }
        }
        _ => drop(copy_bidirectional(&mut client, &mut upstream).await?),
    }
    Ok(())
}

/// The head of the response, and what comes first after it.
async fn forward_handshake(
    from: &mut (impl AsyncReadExt + Unpin),
    to: &mut (impl AsyncWriteExt + Unpin),
) -> io::Result<()> {
    let mut seen = Vec::new();
    while seen.windows(4).position(|four| four == b"\r\n\r\n").is_none_or(|end| seen.len() == end + 4) {
        let before = seen.len();
        if from.read_buf(&mut seen).await? == 0 {
            break;
        }
        to.write_all(&seen[before..]).await?;
    }
    Ok(())
}

fn is_websocket(head: &str) -> bool {
    head.contains("\r\nupgrade: websocket")
}

impl Rule {
    /// The head is in lower case.
    fn way(&mut self, head: &str) -> Way {
        match self {
            Self::Answer(status) => Way::Answer(status),
            Self::Token(token) if !head.contains(&format!("\r\nauthorization: bearer {token}")) => {
                Way::Answer(UNAUTHORIZED)
            }
            Self::Refuse { event_streams } => {
                let stream = *event_streams && head.contains("\r\naccept: text/event-stream");
                if stream || is_websocket(head) { Way::Answer(FORBIDDEN) } else { Way::Forward }
            }
            Self::DeafOnce if is_websocket(head) => {
                *self = Self::Forward;
                Way::Deaf
            }
            Self::CloseAfterHandshake if is_websocket(head) => Way::CloseAfterHandshake,
            _ => Way::Forward,
        }
    }
}
