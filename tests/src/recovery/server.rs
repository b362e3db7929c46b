//! A server in a process of its own, to be killed.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::sync::atomic::{AtomicU16, Ordering};

use hubwire_server::{Hub, HubError, HubOptions, Server};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use super::{Result, needed};

async fn echo(number: u64) -> Result<u64, HubError> {
    Ok(number)
}

/// Serves the hub that the scenarios call, until standard input ends; then in order, with a window for the return.
///
/// # Errors
/// When it cannot listen.
pub async fn serve(address: SocketAddr) -> Result<()> {
    let hub = needed("hub", Hub::builder().method("Echo", echo).build())?;
    let options = HubOptions { stateful_reconnect: true, ..HubOptions::default() };
    let server = needed("server", Server::builder().hub_with("/hub", hub, options).build())?;
    let listener = needed("listen", TcpListener::bind(address).await)?;
    println!("listening on {}", needed("listen", listener.local_addr())?);
    let asked_to_stop = async {
        // An error is an end, too.
        let _ = tokio::io::stdin().read_to_end(&mut Vec::new()).await;
    };
    needed("serve", server.serve(listener, asked_to_stop).await)
}

/// This program again, as a server.
#[derive(Debug)]
pub struct ServerProcess {
    child: Child,
    address: SocketAddr,
}

impl ServerProcess {
    /// Starts it and waits until it listens.
    ///
    /// # Errors
    /// When it does not.
    pub async fn start(address: SocketAddr) -> Result<Self> {
        let program = needed("this program", std::env::current_exe())?;
        let spawned = Command::new(program)
            .args(["serve", &address.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        let mut child = needed("server process", spawned)?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            needed("server process", BufReader::new(stdout).read_line(&mut line).await)?;
        }
        let address = line.trim().strip_prefix("listening on ").and_then(|address| address.parse().ok());
        let address = address.ok_or_else(|| format!("the server process said '{line}'"))?;
        Ok(Self { child, address })
    }

    /// Starts one on an address that nobody else gets while it is down.
    ///
    /// # Errors
    /// When there is none, or it does not start.
    pub async fn start_anywhere() -> Result<Self> {
        Self::start(free_address()?).await
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Kills it, as `kill -9` does.
    ///
    /// # Errors
    /// When it had ended by itself.
    pub async fn kill(mut self) -> Result<()> {
        needed("kill", self.child.kill().await)
    }

    /// Asks it to end, and waits until it has.
    ///
    /// # Errors
    /// When it did not end well.
    pub async fn stop(mut self) -> Result<()> {
        drop(self.child.stdin.take());
        let status = needed("server process", self.child.wait().await)?;
        if status.success() { Ok(()) } else { Err(format!("the server process ended with {status}")) }
    }
}

/// Below the ports that the system gives to outgoing connections: one of those would take the place of a server that is
/// down for a moment.
pub(crate) fn free_address() -> Result<SocketAddr> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    const FIRST: u16 = 20_000;
    const COUNT: u16 = 10_000;
    // Other runs on the same machine begin elsewhere.
    let offset = (std::process::id() % u32::from(COUNT)) as u16;
    let candidates = (0..COUNT).map(|_| {
        let port = FIRST + (offset + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT) % COUNT;
        SocketAddr::from((Ipv4Addr::LOCALHOST, port))
    });
    let mut free = candidates.filter(|address| std::net::TcpListener::bind(address).is_ok());
    free.next().ok_or_else(|| "there is no free port".to_owned())
}
