//! The WebSocket transport. It knows of bytes and of when they may go out, nothing of messages.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{Sink, Stream};
use http::header::{CONNECTION, HOST, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderMap, HeaderValue, Request, Uri};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message, Utf8Bytes};

use super::connector::{Connector, Io, authority};
use super::http::{request_headers, with_sources};
use crate::client::{LinkRequest, RequestFailure};

/// Bytes read from the socket at a time. The library's default of 128 KiB would be most of a connection's memory.
const READ_BUFFER: usize = 8 << 10;
/// A frame that collects messages while the socket is busy goes no further than this, in bytes.
const FRAME_TARGET: usize = 64 << 10;

/// What happened on the socket.
#[derive(Debug)]
pub(super) enum LinkEvent {
    /// A frame came.
    Received(Bytes),
    /// Everything that was to be sent has left.
    Flushed,
    /// It is over.
    Closed(Result<(), RequestFailure>),
}

/// What the caller of [`WebSocketLink::poll`] is interested in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    /// Frames that come.
    pub(super) read: bool,
    /// That everything has left.
    pub(super) flushed: bool,
}

/// An open WebSocket.
pub(super) struct WebSocketLink {
    socket: WebSocketStream<Box<dyn Io>>,
    /// Goes out first, as text whatever the encoding.
    handshake: Option<String>,
    /// Messages that have not left yet, one after the other.
    outgoing: Vec<u8>,
    /// Where in `outgoing` a message ends, so that frames hold whole messages only.
    ends: Vec<usize>,
    text: bool,
    flushing: bool,
    closing: Closing,
}

#[derive(PartialEq, Eq)]
enum Closing {
    No,
    /// The close frame goes out after what is queued.
    Wanted,
    /// The close frame is on its way.
    Sent,
}

impl WebSocketLink {
    pub(super) async fn open(
        connector: Arc<dyn Connector>,
        headers: Arc<HeaderMap>,
        request: LinkRequest,
        text: bool,
        max_message_size: usize,
    ) -> Result<Self, RequestFailure> {
        let network = RequestFailure::Network;
        let uri: Uri = request.url.parse().map_err(|error| network(format!("'{}': {error}", request.url)))?;
        let (host, port, tls) = authority(&uri).map_err(network)?;
        let upgrade = upgrade_request(&uri, request_headers(&headers, request.token.as_deref())?)?;
        let io = connector.connect(host, port, tls).await.map_err(|error| network(error.to_string()))?;
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0)
            .max_message_size(Some(max_message_size))
            .max_frame_size(Some(max_message_size));
        let (socket, _) = tokio_tungstenite::client_async_with_config(upgrade, io, Some(config))
            .await
            .map_err(|error| failure(&error))?;
        Ok(Self {
            socket,
            handshake: None,
            outgoing: Vec::new(),
            ends: Vec::new(),
            text,
            flushing: false,
            closing: Closing::No,
        })
    }

    /// Queues bytes; `write` appends exactly one message.
    pub(super) fn send<E>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
        if self.closing != Closing::No {
            return Ok(());
        }
        write(&mut self.outgoing)?;
        self.ends.push(self.outgoing.len());
        Ok(())
    }

    pub(super) fn send_handshake(&mut self, text: String) {
        self.handshake = Some(text);
    }

    pub(super) const fn queued(&self) -> usize {
        self.outgoing.len()
    }

    /// Closes in order, after what is queued.
    pub(super) fn close(&mut self) {
        if self.closing == Closing::No {
            self.closing = Closing::Wanted;
        }
    }

    /// Writes what can be written, and reads if that is wanted.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, wanted: Wanted) -> Poll<LinkEvent> {
        match self.poll_write(cx) {
            Poll::Ready(Ok(())) if wanted.flushed => return Poll::Ready(LinkEvent::Flushed),
            Poll::Ready(Err(error)) => return Poll::Ready(LinkEvent::Closed(Err(failure(&error)))),
            Poll::Ready(Ok(())) | Poll::Pending => {}
        }
        // A closing socket is read to its end, to see the peer's close frame.
        while wanted.read || self.closing == Closing::Sent {
            let message = match Pin::new(&mut self.socket).poll_next(cx) {
                Poll::Pending => break,
                Poll::Ready(None) => return Poll::Ready(LinkEvent::Closed(Ok(()))),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(LinkEvent::Closed(Err(failure(&error)))),
                Poll::Ready(Some(Ok(message))) => message,
            };
            match message {
                Message::Text(text) => return Poll::Ready(LinkEvent::Received(text.into())),
                Message::Binary(bytes) => return Poll::Ready(LinkEvent::Received(bytes)),
                Message::Close(Some(frame)) if frame.code != CloseCode::Normal => {
                    let reason = match frame.reason.as_str() {
                        "" => "no reason given",
                        reason => reason,
                    };
                    // The official clients' text.
                    let text =
                        format!("WebSocket closed with status code: {} ({reason}).", u16::from(frame.code));
                    return Poll::Ready(LinkEvent::Closed(Err(RequestFailure::Network(text))));
                }
                Message::Close(_) => return Poll::Ready(LinkEvent::Closed(Ok(()))),
                // tungstenite answers pings by itself.
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
        Poll::Pending
    }

    /// Ready when the last byte has left; pending when the socket is busy or there is nothing to do.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), tungstenite::Error>> {
        let mut socket = Pin::new(&mut self.socket);
        loop {
            if self.handshake.is_some() {
                std::task::ready!(socket.as_mut().poll_ready(cx))?;
                let text = self.handshake.take().unwrap_or_default();
                socket.as_mut().start_send(Message::Text(text.into()))?;
                self.flushing = true;
            } else if self.outgoing.is_empty() && self.closing == Closing::Wanted && !self.flushing {
                std::task::ready!(socket.as_mut().poll_ready(cx))?;
                let frame = CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::default() };
                socket.as_mut().start_send(Message::Close(Some(frame)))?;
                self.closing = Closing::Sent;
                self.flushing = true;
            } else if !self.outgoing.is_empty() {
                std::task::ready!(socket.as_mut().poll_ready(cx))?;
                let frame = take_frame(&mut self.outgoing, &mut self.ends);
                let message = if self.text {
                    // The JSON writer produces UTF-8 only.
                    let text = Utf8Bytes::try_from(frame)
                        .map_err(|error| tungstenite::Error::Utf8(error.to_string()))?;
                    Message::Text(text)
                } else {
                    Message::Binary(frame)
                };
                socket.as_mut().start_send(message)?;
                self.flushing = true;
            } else if self.flushing {
                std::task::ready!(socket.as_mut().poll_flush(cx))?;
                self.flushing = false;
                return Poll::Ready(Ok(()));
            } else {
                return Poll::Pending;
            }
        }
    }
}

/// Takes whole messages from the front, as many as fit a frame, at least one.
fn take_frame(outgoing: &mut Vec<u8>, ends: &mut Vec<usize>) -> Bytes {
    let fitting = ends.partition_point(|end| *end <= FRAME_TARGET).max(1);
    if fitting >= ends.len() {
        ends.clear();
        return std::mem::take(outgoing).into();
    }
    let end = ends[fitting - 1];
    let rest = outgoing.split_off(end);
    ends.drain(..fitting);
    for later in ends {
        *later -= end;
    }
    std::mem::replace(outgoing, rest).into()
}

fn upgrade_request(uri: &Uri, mut headers: HeaderMap) -> Result<Request<()>, RequestFailure> {
    let invalid = |error: http::Error| RequestFailure::Network(error.to_string());
    // tungstenite wants the WebSocket scheme.
    let scheme = if uri.scheme_str() == Some("https") { "wss" } else { "ws" };
    let mut parts = uri.clone().into_parts();
    parts.scheme = Some(scheme.parse().map_err(|_| RequestFailure::Network("invalid scheme".into()))?);
    let target = Uri::from_parts(parts).map_err(|error| invalid(error.into()))?;
    let host = uri.authority().map(|authority| {
        // Userinfo does not belong in the Host header.
        authority.as_str().rsplit('@').next().unwrap_or_default().to_owned()
    });
    let host = HeaderValue::try_from(host.unwrap_or_default()).map_err(|error| invalid(error.into()))?;
    headers.insert(HOST, host);
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    let key = HeaderValue::try_from(generate_key()).map_err(|error| invalid(error.into()))?;
    headers.insert(SEC_WEBSOCKET_KEY, key);
    let mut request = Request::builder().uri(target).body(()).map_err(invalid)?;
    *request.headers_mut() = headers;
    Ok(request)
}

fn failure(error: &tungstenite::Error) -> RequestFailure {
    match error {
        tungstenite::Error::Http(response) => {
            let body = response.body().as_deref().map(String::from_utf8_lossy).unwrap_or_default();
            let text = match body.trim() {
                "" => response.status().canonical_reason().unwrap_or_default().to_owned(),
                body => body.chars().take(500).collect(),
            };
            RequestFailure::Status { code: response.status().as_u16(), text }
        }
        error => RequestFailure::Network(with_sources(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::take_frame;

    #[test]
    fn frames_hold_whole_messages() {
        let sizes = [10, 30_000, 30_000, 30_000, 200_000, 5];
        let (mut outgoing, mut ends) = (Vec::new(), Vec::new());
        for (index, size) in sizes.into_iter().enumerate() {
            outgoing.resize(outgoing.len() + size, index as u8);
            ends.push(outgoing.len());
        }
        let mut frames = Vec::new();
        while !outgoing.is_empty() {
            frames.push(take_frame(&mut outgoing, &mut ends));
        }
        assert_eq!(frames.iter().map(|frame| frame.len()).collect::<Vec<_>>(), [60_010, 30_000, 200_000, 5]);
        assert!(ends.is_empty());
        assert_eq!(frames[3], [5u8; 5].as_slice());
    }
}
