use std::task::{Context, Poll};

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use hubwire::protocol::Encoding;
use tokio_tungstenite::tungstenite;

use super::{Received, Transport};

/// A WebSocket: JSON leaves as text frames and MessagePack as binary ones; either kind is accepted.
pub(crate) struct WebSocketTransport {
    socket: WebSocket,
    closing: bool,
}

impl WebSocketTransport {
    pub(crate) const fn new(socket: WebSocket) -> Self {
        Self { socket, closing: false }
    }
}

impl Transport for WebSocketTransport {
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Received> {
        loop {
            let Poll::Ready(message) = self.socket.poll_next_unpin(cx) else { return Poll::Pending };
            return Poll::Ready(match message {
                Some(Ok(Message::Text(text))) => Received::Frame(text.into()),
                Some(Ok(Message::Binary(bytes))) => Received::Frame(bytes),
                // The WebSocket answers pings itself.
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                Some(Ok(Message::Close(_))) | None => Received::Closed,
                Some(Err(error)) => received_error(error),
            });
        }
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), String>> {
        self.socket.poll_ready_unpin(cx).map_err(|error| error.to_string())
    }

    fn send(&mut self, encoding: Encoding, frame: Bytes) -> Result<(), String> {
        let message = match encoding {
            Encoding::Json => Message::Text(Utf8Bytes::try_from(frame).map_err(|error| error.to_string())?),
            Encoding::MessagePack => Message::Binary(frame),
        };
        self.socket.start_send_unpin(message).map_err(|error| error.to_string())
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), String>> {
        self.socket.poll_flush_unpin(cx).map_err(|error| error.to_string())
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, error: bool) -> Poll<()> {
        if !self.closing {
            let Poll::Ready(ready) = self.socket.poll_ready_unpin(cx) else { return Poll::Pending };
            self.closing = true;
            let code = if error { close_code::ERROR } else { close_code::NORMAL };
            let frame = Message::Close(Some(CloseFrame { code, reason: Utf8Bytes::default() }));
            if ready.is_err() || self.socket.start_send_unpin(frame).is_err() {
                return Poll::Ready(());
            }
        }
        let Poll::Ready(flushed) = self.socket.poll_flush_unpin(cx) else { return Poll::Pending };
        if flushed.is_err() {
            return Poll::Ready(());
        }
        // The client's half of the close handshake. Whatever it sent before is of no interest any more.
        while let Poll::Ready(message) = self.socket.poll_next_unpin(cx) {
            if !matches!(message, Some(Ok(message)) if !matches!(message, Message::Close(_))) {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }
}

fn received_error(error: axum::Error) -> Received {
    let text = error.to_string();
    match error.into_inner().downcast::<tungstenite::Error>().map(|error| *error) {
        Ok(tungstenite::Error::Capacity(_)) => Received::TooLarge,
        Ok(tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed) => Received::Closed,
        _ => Received::Lost(text),
    }
}
