//! Running a server in tests: on a free port of this machine, until it is dropped.

use std::net::SocketAddr;

use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::{Server, ServerHandle};

/// A server that runs in the background.
#[derive(Debug)]
pub struct TestServer {
    address: SocketAddr,
    handle: ServerHandle,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<std::io::Result<()>>,
}

impl TestServer {
    /// Starts it.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(server: Server) -> std::io::Result<Self> {
        Self::start_at(server, SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// Starts it at an address: where one was that has stopped.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub async fn start_at(server: Server, address: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let handle = server.handle();
        let (stop, stopped) = oneshot::channel();
        let listener = listener.tap_io(|stream| {
            // Without it small messages would wait for the acknowledgement of those before.
            let _ = stream.set_nodelay(true);
        });
        let task = tokio::spawn(server.serve(listener, async {
            // Dropping the sender counts, too.
            let _ = stopped.await;
        }));
        Ok(Self { address, handle, stop: Some(stop), task })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a path, with `http`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The URL of a path, with `ws`.
    pub fn ws_url(&self, path: &str) -> String {
        format!("ws://{}{path}", self.address)
    }

    /// The way to its clients.
    pub const fn handle(&self) -> &ServerHandle {
        &self.handle
    }

    /// Shuts it down gracefully.
    ///
    /// # Errors
    /// When the listener had failed.
    pub async fn stop(mut self) -> std::io::Result<()> {
        drop(self.stop.take());
        self.task.await.map_err(std::io::Error::other)?
    }
}
