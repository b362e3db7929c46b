use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::SinkExt;
use hubwire::protocol::Encoding;
use tokio::sync::mpsc;

use super::{Received, Transport};

/// A connection without sockets, for tests and for clients in the same process. `capacity` frames fit in each direction.
pub fn memory(capacity: usize) -> (MemoryTransport, MemoryClient) {
    let (to_server, incoming) = mpsc::channel(capacity);
    let (outgoing, from_server) = futures_util_channel(capacity);
    (MemoryTransport { incoming, outgoing }, MemoryClient { to_server: Some(to_server), from_server })
}

type Sender = std::pin::Pin<Box<dyn futures_util::Sink<Bytes, Error = ()> + Send>>;

/// Bytes in a bounded channel, as a sink: `mpsc::Sender` has no `poll_ready` of its own.
fn futures_util_channel(capacity: usize) -> (Sender, mpsc::Receiver<Bytes>) {
    let (sender, receiver) = mpsc::channel(capacity);
    let sink = futures_util::sink::unfold(sender, |sender: mpsc::Sender<Bytes>, frame| async move {
        sender.send(frame).await.map_err(drop)?;
        Ok(sender)
    });
    (Box::pin(sink), receiver)
}

/// The server's end of [`memory`].
pub struct MemoryTransport {
    incoming: mpsc::Receiver<Bytes>,
    outgoing: Sender,
}

impl std::fmt::Debug for MemoryTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MemoryTransport")
    }
}

fn lost((): ()) -> String {
    "the client is gone".into()
}

impl Transport for MemoryTransport {
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Received> {
        self.incoming.poll_recv(cx).map(|frame| frame.map_or(Received::Closed, Received::Frame))
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), String>> {
        self.outgoing.poll_ready_unpin(cx).map_err(lost)
    }

    fn send(&mut self, _: Encoding, frame: Bytes) -> Result<(), String> {
        self.outgoing.start_send_unpin(frame).map_err(lost)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), String>> {
        self.outgoing.poll_flush_unpin(cx).map_err(lost)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, _: bool) -> Poll<()> {
        self.incoming.close();
        self.outgoing.poll_close_unpin(cx).map(drop)
    }
}

/// The client's end of [`memory`].
#[derive(Debug)]
pub struct MemoryClient {
    to_server: Option<mpsc::Sender<Bytes>>,
    from_server: mpsc::Receiver<Bytes>,
}

impl MemoryClient {
    /// Sends a frame. Returns whether the server still takes any.
    pub async fn send(&self, frame: impl Into<Bytes>) -> bool {
        match &self.to_server {
            Some(to_server) => to_server.send(frame.into()).await.is_ok(),
            None => false,
        }
    }

    /// The next frame of the server; `None` when it closed the connection.
    pub async fn receive(&mut self) -> Option<Bytes> {
        self.from_server.recv().await
    }

    /// Closes the transport properly; what the server still sends can be received.
    pub fn close(&mut self) {
        self.to_server = None;
    }
}

// Keeps the stream half usable with combinators.
impl futures_util::Stream for MemoryClient {
    type Item = Bytes;

    fn poll_next(mut self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        self.from_server.poll_recv(cx)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;

    use super::*;

    #[tokio::test]
    async fn frames_pass_and_ends_are_seen() {
        let (mut server, mut client) = memory(1);
        assert!(client.send("a").await);
        let received = std::future::poll_fn(|cx| server.poll_receive(cx)).await;
        assert_eq!(received, Received::Frame("a".into()));
        server.send(Encoding::Json, "b".into()).unwrap();
        std::future::poll_fn(|cx| server.poll_flush(cx)).await.unwrap();
        assert_eq!(client.next().await.unwrap(), "b");
        client.close();
        assert_eq!(std::future::poll_fn(|cx| server.poll_receive(cx)).await, Received::Closed);
    }
}
