//! How frames reach a connection and leave it.

mod http;
mod memory;
mod slot;
mod websocket;

use std::task::{Context, Poll};

use bytes::Bytes;
use hubwire::protocol::Encoding;

pub(crate) use http::{EventStream, HttpLink, HttpTransport, Polled};
pub use memory::{MemoryClient, MemoryTransport, memory};
pub(crate) use slot::LinkSlot;
pub(crate) use websocket::WebSocketTransport;

/// The frames of one connection, in both directions.
///
/// Frames are what the transport delimits; messages may lie across them on the way in, never on the way out.
pub trait Transport: Send + 'static {
    /// The next frame from the client.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Received>;

    /// Whether [`send`](Self::send) may be called.
    ///
    /// # Errors
    /// When the transport is lost; the text says why.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), String>>;

    /// Takes a frame of whole messages.
    ///
    /// # Errors
    /// When the transport is lost; the text says why.
    fn send(&mut self, encoding: Encoding, frame: Bytes) -> Result<(), String>;

    /// Completes when everything taken has left.
    ///
    /// # Errors
    /// When the transport is lost; the text says why.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), String>>;

    /// Whether the client is there at the moment. Transports that come and go, as polls do, say `false` in between and
    /// wake the task when that changes.
    fn is_attached(&mut self, cx: &Context<'_>) -> bool {
        let _ = cx;
        true
    }

    /// Ends the transport; `error` is whether the connection ended because of one.
    fn poll_close(&mut self, cx: &mut Context<'_>, error: bool) -> Poll<()>;
}

/// What came from the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// A frame.
    Frame(Bytes),
    /// A frame larger than the transport accepts.
    TooLarge,
    /// The client closed the transport properly.
    Closed,
    /// The transport is lost; the text says why.
    Lost(String),
}
