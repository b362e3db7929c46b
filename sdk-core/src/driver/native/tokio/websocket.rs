//! The WebSocket transport. It knows of bytes and of when they may go out, nothing of messages.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{Sink, Stream};
use http::header::{CONNECTION, HOST, LOCATION, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderMap, HeaderValue, Request, Uri};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::CapacityError;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message, Utf8Bytes};

use super::causes::with_sources;
use super::connector::{Io, authority};
use super::http::Http;
use super::link::{Link, LinkEvent, Wanted};
use super::outgoing::{Departure, Outgoing};
use super::redirect::shown;
use crate::client::{LinkRequest, RequestFailure};
use crate::protocol::ProtocolError;

/// Bytes read from the socket at a time. The library's default of 128 KiB would be most of a connection's memory.
const READ_BUFFER: usize = 8 << 10;

/// An open WebSocket.
pub(super) struct WebSocketLink {
    socket: WebSocketStream<Box<dyn Io>>,
    outgoing: Outgoing,
    text: bool,
    /// To be sent as soon as the socket takes something.
    ping: Option<u64>,
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
        http: &Http,
        request: LinkRequest,
        text: bool,
        max_message_size: usize,
    ) -> Result<Self, RequestFailure> {
        let network = RequestFailure::Network;
        let uri: Uri = request.url.parse().map_err(|error| network(format!("'{}': {error}", request.url)))?;
        let (host, port, tls) = authority(&uri).map_err(network)?;
        let upgrade = upgrade_request(&uri, http.headers(&uri, request.token.as_deref())?)?;
        let io = http.connect(host, port, tls).await.map_err(|error| network(error.to_string()))?;
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
            outgoing: Outgoing::default(),
            text,
            ping: None,
            flushing: false,
            closing: Closing::No,
        })
    }

    /// Pending when the socket is busy or there is nothing to do; ready, if that is wanted, when the last byte has left.
    fn poll_write(&mut self, cx: &mut Context<'_>, report: bool) -> Poll<Result<(), tungstenite::Error>> {
        let mut socket = Pin::new(&mut self.socket);
        loop {
            if let Some(number) = self.ping {
                std::task::ready!(socket.as_mut().poll_ready(cx))?;
                self.ping = None;
                socket.as_mut().start_send(Message::Ping(Bytes::copy_from_slice(&number.to_be_bytes())))?;
                self.flushing = true;
            } else if !self.outgoing.is_empty() {
                std::task::ready!(socket.as_mut().poll_ready(cx))?;
                let message = match self.outgoing.take() {
                    Some(Departure::Handshake(text)) => Message::Text(text.into()),
                    // The JSON writer produces UTF-8 only.
                    Some(Departure::Messages(frame)) if self.text => Message::Text(
                        Utf8Bytes::try_from(frame)
                            .map_err(|error| tungstenite::Error::Utf8(error.to_string()))?,
                    ),
                    Some(Departure::Messages(frame)) => Message::Binary(frame),
                    None => continue,
                };
                socket.as_mut().start_send(message)?;
                self.flushing = true;
            } else if self.flushing {
                std::task::ready!(socket.as_mut().poll_flush(cx))?;
                self.flushing = false;
                if report {
                    return Poll::Ready(Ok(()));
                }
            } else if self.closing == Closing::Wanted {
                std::task::ready!(socket.as_mut().poll_ready(cx))?;
                let frame = CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::default() };
                socket.as_mut().start_send(Message::Close(Some(frame)))?;
                self.closing = Closing::Sent;
                self.flushing = true;
            } else {
                return Poll::Pending;
            }
        }
    }
}

impl Link for WebSocketLink {
    fn outgoing(&mut self) -> &mut Outgoing {
        &mut self.outgoing
    }

    fn ping(&mut self, number: u64) {
        self.ping = Some(number).filter(|_| self.closing == Closing::No);
    }

    fn close(&mut self) {
        self.outgoing.close();
        self.ping = None;
        if self.closing == Closing::No {
            self.closing = Closing::Wanted;
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>, wanted: Wanted) -> Poll<LinkEvent> {
        let mut broken = None;
        match self.poll_write(cx, wanted.flushed) {
            Poll::Ready(Ok(())) => return Poll::Ready(LinkEvent::Flushed),
            // What the peer said before it went away is worth more than how that showed.
            Poll::Ready(Err(error)) => broken = Some(error),
            Poll::Pending => {}
        }
        // A closing socket is read to its end, to see the peer's close frame.
        while wanted.read || self.closing == Closing::Sent {
            let message = match Pin::new(&mut self.socket).poll_next(cx) {
                Poll::Pending => break,
                Poll::Ready(None | Some(Err(_))) if broken.is_some() => break,
                Poll::Ready(None) => return Poll::Ready(LinkEvent::Closed(Ok(()))),
                Poll::Ready(Some(Err(error))) => {
                    return Poll::Ready(LinkEvent::Closed(Err(failure(&error))));
                }
                Poll::Ready(Some(Ok(message))) => message,
            };
            match message {
                Message::Text(text) => return Poll::Ready(LinkEvent::Received(text.into())),
                Message::Binary(bytes) => return Poll::Ready(LinkEvent::Received(bytes)),
                Message::Close(Some(frame)) if frame.code != CloseCode::Normal => {
                    let (code, reason) = (frame.code.into(), frame.reason.to_string());
                    return Poll::Ready(LinkEvent::Closed(Err(RequestFailure::Closed { code, reason })));
                }
                Message::Close(_) => return Poll::Ready(LinkEvent::Closed(Ok(()))),
                Message::Pong(number) => {
                    // Others are unsolicited, which is allowed (RFC 6455, section 5.5.3).
                    if let Ok(number) = <[u8; 8]>::try_from(&number[..]) {
                        return Poll::Ready(LinkEvent::Pong(u64::from_be_bytes(number)));
                    }
                }
                // tungstenite answers pings by itself.
                Message::Ping(_) | Message::Frame(_) => {}
            }
        }
        match broken {
            Some(error) => Poll::Ready(LinkEvent::Closed(Err(failure(&error)))),
            None => Poll::Pending,
        }
    }
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
            let location = response.headers().get(LOCATION).filter(|_| response.status().is_redirection());
            let text = match body.trim() {
                _ if let Some(location) = location => {
                    format!(
                        "the server redirects to '{}', but a WebSocket is not redirected",
                        shown(location)
                    )
                }
                "" => response.status().canonical_reason().unwrap_or_default().to_owned(),
                body => body.chars().take(500).collect(),
            };
            let retry_after = super::http::retry_after(response.headers());
            RequestFailure::Status { code: response.status().as_u16(), text, retry_after }
        }
        tungstenite::Error::Capacity(CapacityError::MessageTooLong { max_size, .. }) => {
            RequestFailure::Protocol(ProtocolError::TooLarge { limit: *max_size })
        }
        // RFC 6455, section 7.1.5: the code of a connection that ended without a Close frame.
        tungstenite::Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake) => {
            RequestFailure::Closed { code: 1006, reason: String::new() }
        }
        error => RequestFailure::Network(with_sources(error)),
    }
}
