//! The Server-Sent Events transport: one endless response down, POST up. Text only.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::Method;
use http::header::CONTENT_TYPE;
use hyper::body::{Body, Incoming};

use super::causes::with_sources;
use super::http::{Content, Session, checked};
use super::link::{Link, LinkEvent, Wanted};
use super::outgoing::Outgoing;
use super::posts::Posts;
use crate::client::RequestFailure;
use crate::protocol::ProtocolError;

const EVENT_STREAM: &str = "text/event-stream";

/// An open event stream.
pub(super) struct SseLink {
    body: Incoming,
    events: EventParser,
    outgoing: Outgoing,
    posts: Posts,
}

impl SseLink {
    pub(super) async fn open(session: Session, max_message_size: usize) -> Result<Self, RequestFailure> {
        let response = session.send(Method::GET, "", Some(EVENT_STREAM), Content::default()).await?;
        let response = checked(response).await?;
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if !content_type.is_some_and(|value| value.trim_start().starts_with(EVENT_STREAM)) {
            let text = "the response is no event stream";
            return Err(RequestFailure::Network(text.into()));
        }
        Ok(Self {
            body: response.into_body(),
            events: EventParser::new(max_message_size),
            outgoing: Outgoing::default(),
            posts: Posts::new(session, true),
        })
    }
}

impl Link for SseLink {
    fn outgoing(&mut self) -> &mut Outgoing {
        &mut self.outgoing
    }

    fn close(&mut self) {
        self.outgoing.close();
    }

    fn poll(&mut self, cx: &mut Context<'_>, wanted: Wanted) -> Poll<LinkEvent> {
        if let Some(event) = self.posts.drive(cx, &mut self.outgoing, wanted) {
            return Poll::Ready(event);
        }
        // There is no request that says goodbye: the server sees the response being dropped.
        if self.outgoing.is_closed() && self.outgoing.is_empty() && self.posts.is_idle() {
            return Poll::Ready(LinkEvent::Closed(Ok(())));
        }
        if wanted.read { self.poll_event(cx).map(LinkEvent::from) } else { Poll::Pending }
    }
}

impl SseLink {
    /// The data of the next event, or the end.
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, RequestFailure>> {
        loop {
            if let Some(data) = self.events.next().map_err(RequestFailure::Protocol)? {
                return Poll::Ready(Ok(Some(data)));
            }
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                None => return Poll::Ready(Ok(None)),
                Some(Err(error)) => return Poll::Ready(Err(RequestFailure::Network(with_sources(&error)))),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.events.push(&data);
                    }
                }
            }
        }
    }
}

/// Finds the data of events in a stream of bytes (WHATWG HTML, section 9.2.6). SignalR uses no other field.
#[derive(Debug)]
pub(super) struct EventParser {
    buffer: BytesMut,
    /// Up to where there is no end of a line.
    scanned: usize,
    /// The lines of data of the event that has not ended.
    data: Option<BytesMut>,
    limit: usize,
}

impl EventParser {
    pub(super) fn new(limit: usize) -> Self {
        Self { buffer: BytesMut::new(), scanned: 0, data: None, limit }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The data of the next event that is complete.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, ProtocolError> {
        while let Some(line) = self.next_line() {
            if line.is_empty() {
                if let Some(data) = self.data.take() {
                    return Ok(Some(data.freeze()));
                }
                continue;
            }
            let Some(value) = line.strip_prefix(b"data:") else { continue };
            let value = value.strip_prefix(b" ").unwrap_or(value);
            let data = match &mut self.data {
                Some(data) => {
                    data.extend_from_slice(b"\n");
                    data
                }
                none => none.insert(BytesMut::new()),
            };
            data.extend_from_slice(value);
            self.check()?;
        }
        self.check()?;
        Ok(None)
    }

    fn check(&self) -> Result<(), ProtocolError> {
        let held = self.buffer.len() + self.data.as_ref().map_or(0, BytesMut::len);
        // A few bytes are the field's name and line ends.
        if held > self.limit + 16 && self.scanned == self.buffer.len() {
            return Err(ProtocolError::TooLarge { limit: self.limit });
        }
        Ok(())
    }

    /// The next line that is complete: ended by CR LF, LF or CR.
    fn next_line(&mut self) -> Option<BytesMut> {
        let rest = &self.buffer[self.scanned..];
        let Some(end) = memchr::memchr2(b'\n', b'\r', rest).map(|end| self.scanned + end) else {
            self.scanned = self.buffer.len();
            return None;
        };
        // Whether a CR is the whole end of the line shows in the byte behind it.
        let ended_by = match (self.buffer[end], self.buffer.get(end + 1)) {
            (b'\r', None) => {
                self.scanned = end;
                return None;
            }
            (b'\r', Some(b'\n')) => 2,
            _ => 1,
        };
        let mut line = self.buffer.split_to(end + ended_by);
        line.truncate(end);
        self.scanned = 0;
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(chunks: &[&[u8]]) -> Vec<Bytes> {
        let mut parser = EventParser::new(1000);
        let mut events = Vec::new();
        for chunk in chunks {
            parser.push(chunk);
            while let Some(event) = parser.next().unwrap() {
                events.push(event);
            }
        }
        events
    }

    #[test]
    fn events_however_they_are_cut() {
        let stream = b":\r\ndata: {}\x1e\r\n\r\ndata:a\ndata: b\n\nevent: x\nid: 1\ndata\ndata: last\r\n\r\n";
        let expected: [&[u8]; 3] = [b"{}\x1e", b"a\nb", b"last"];
        assert_eq!(parse(&[stream]), expected);
        for cut in 0..stream.len() {
            assert_eq!(parse(&[&stream[..cut], &stream[cut..]]), expected, "cut at {cut}");
        }
        let single: Vec<_> = stream.chunks(1).collect();
        assert_eq!(parse(&single), expected);
        // Ended by CR alone; the last one is known only with the byte behind it.
        assert_eq!(parse(&[b"data: a\r\rdata: b\r\r:"]), ["a", "b"]);
    }

    #[test]
    fn an_event_that_does_not_end_is_bounded() {
        let mut parser = EventParser::new(100);
        let mut refused = false;
        for _ in 0..30 {
            parser.push(b"data: xxxxxxxxxx");
            refused |= parser.next().is_err();
        }
        assert!(refused);
        let mut parser = EventParser::new(100);
        let lines = (0..30).map(|_| {
            parser.push(b"data: xxxxxxxxxx\n");
            parser.next()
        });
        assert!(lines.collect::<Vec<_>>().iter().any(Result::is_err));
    }
}
