//! The two transports made of HTTP requests: Server-Sent Events and long polling.
//!
//! A [`HttpLink`] is where the requests of one connection and its task meet. Upwards it holds one POST at a time,
//! downwards what one response may carry; what is more waits in the outbox, which has limits of its own.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::Stream;
use hubwire::protocol::{Encoding, Transport as Kind};
use parking_lot::Mutex;

use super::{Received, Transport};

/// One connection over HTTP requests.
#[derive(Debug)]
pub(crate) struct HttpLink {
    kind: Kind,
    /// More than that is not taken from the task until the client has fetched some.
    capacity: usize,
    /// Requests that send take turns: their order is the order of the messages.
    turn: tokio::sync::Mutex<()>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// What the last POST brought, until the task takes it.
    incoming: Option<Received>,
    outgoing: Vec<Bytes>,
    outgoing_bytes: usize,
    /// Counts the polls; only the last one is answered with data.
    poll: u64,
    attached: bool,
    /// The server has nothing more to say than what is in `outgoing`.
    ended: bool,
    /// The client knows about that.
    told: bool,
    /// The client ended it.
    gone: bool,
    task: Option<Waker>,
    reader: Option<Waker>,
    poster: Option<Waker>,
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

fn set(slot: &mut Option<Waker>, cx: &Context<'_>) {
    match slot {
        Some(waker) if waker.will_wake(cx.waker()) => {}
        _ => *slot = Some(cx.waker().clone()),
    }
}

/// What a poll ends with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Polled {
    Data(Bytes),
    /// Nothing came in time.
    Nothing,
    /// Another poll came, or the connection is over.
    Over,
}

impl HttpLink {
    pub(crate) fn new(kind: Kind, capacity: usize) -> Arc<Self> {
        Arc::new(Self { kind, capacity, turn: tokio::sync::Mutex::default(), inner: Mutex::default() })
    }

    pub(crate) const fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether the client ended it, so that further requests find nothing.
    pub(crate) fn is_gone(&self) -> bool {
        self.inner.lock().gone
    }

    /// Waits until this request may send; requests get their turns in the order in which they came.
    pub(crate) async fn turn(&self) -> impl Drop + use<'_> {
        self.turn.lock().await
    }

    /// Takes what a POST brought. Returns `false` if the connection is over.
    pub(crate) async fn post(&self, received: Received) -> bool {
        let mut received = Some(received);
        poll_fn(|cx| {
            let mut inner = self.inner.lock();
            if inner.gone || inner.ended {
                return Poll::Ready(false);
            }
            if inner.incoming.is_some() {
                set(&mut inner.poster, cx);
                return Poll::Pending;
            }
            inner.incoming = received.take();
            let task = inner.task.take();
            drop(inner);
            wake(task);
            Poll::Ready(true)
        })
        .await
    }

    /// Waits for messages. From now on earlier polls get none.
    pub(crate) async fn poll(&self, limit: Duration) -> Polled {
        let poll = OpenPoll::new(self);
        let data = poll_fn(|cx| self.poll_data(cx, poll.number));
        tokio::time::timeout(limit, data).await.unwrap_or(Polled::Nothing)
    }

    fn poll_data(&self, cx: &Context<'_>, number: u64) -> Poll<Polled> {
        let mut inner = self.inner.lock();
        if inner.poll != number {
            return Poll::Ready(Polled::Over);
        }
        if !inner.outgoing.is_empty() {
            let frames = std::mem::take(&mut inner.outgoing);
            let total = std::mem::take(&mut inner.outgoing_bytes);
            let task = inner.task.take();
            drop(inner);
            wake(task);
            return Poll::Ready(Polled::Data(join(frames, total)));
        }
        if inner.ended || inner.gone {
            inner.told = true;
            let task = inner.task.take();
            drop(inner);
            wake(task);
            return Poll::Ready(Polled::Over);
        }
        set(&mut inner.reader, cx);
        Poll::Pending
    }

    /// The client ends the connection.
    pub(crate) fn terminate(&self) {
        let mut inner = self.inner.lock();
        inner.gone = true;
        inner.outgoing = Vec::new();
        inner.outgoing_bytes = 0;
        let wakers = [inner.task.take(), inner.reader.take(), inner.poster.take()];
        drop(inner);
        wakers.into_iter().for_each(wake);
    }

    /// The server ends the connection; what was taken is still delivered.
    fn end(&self) {
        let mut inner = self.inner.lock();
        inner.ended = true;
        let wakers = [inner.reader.take(), inner.poster.take()];
        drop(inner);
        wakers.into_iter().for_each(wake);
    }
}

fn join(frames: Vec<Bytes>, total: usize) -> Bytes {
    if let [frame] = frames.as_slice() {
        return frame.clone();
    }
    let mut joined = BytesMut::with_capacity(total);
    for frame in &frames {
        joined.extend_from_slice(frame);
    }
    joined.freeze()
}

/// While it exists, the client is there.
struct OpenPoll<'a> {
    link: &'a HttpLink,
    number: u64,
}

impl<'a> OpenPoll<'a> {
    fn new(link: &'a HttpLink) -> Self {
        let mut inner = link.inner.lock();
        inner.poll += 1;
        inner.attached = true;
        let number = inner.poll;
        let wakers = [inner.task.take(), inner.reader.take()];
        drop(inner);
        wakers.into_iter().for_each(wake);
        Self { link, number }
    }
}

impl Drop for OpenPoll<'_> {
    fn drop(&mut self) {
        let mut inner = self.link.inner.lock();
        if inner.poll == self.number {
            inner.attached = false;
            inner.reader = None;
            let task = inner.task.take();
            drop(inner);
            wake(task);
        }
    }
}

/// The body of the response that carries Server-Sent Events. Without it the client is gone.
#[derive(Debug)]
pub(crate) struct EventStream {
    link: Arc<HttpLink>,
    greeted: bool,
}

impl EventStream {
    pub(crate) const fn new(link: Arc<HttpLink>) -> Self {
        Self { link, greeted: false }
    }
}

impl Stream for EventStream {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if !self.greeted {
            self.greeted = true;
            // Proxies pass the headers on when a body begins.
            return Poll::Ready(Some(Ok(Bytes::from_static(b":\r\n"))));
        }
        let mut inner = self.link.inner.lock();
        if inner.outgoing.is_empty() {
            if inner.ended || inner.gone {
                return Poll::Ready(None);
            }
            set(&mut inner.reader, cx);
            return Poll::Pending;
        }
        let frames = std::mem::take(&mut inner.outgoing);
        let total = std::mem::take(&mut inner.outgoing_bytes);
        let task = inner.task.take();
        drop(inner);
        wake(task);
        let mut events = BytesMut::with_capacity(total + 12 * frames.len());
        for frame in &frames {
            write_event(frame, &mut events);
        }
        Poll::Ready(Some(Ok(events.freeze())))
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        self.link.inner.lock().told = true;
        self.link.terminate();
    }
}

/// One frame as one event.
fn write_event(frame: &[u8], out: &mut BytesMut) {
    for line in frame.split(|byte| *byte == b'\n') {
        out.put_slice(b"data: ");
        out.put_slice(line.strip_suffix(b"\r").unwrap_or(line));
        out.put_slice(b"\r\n");
    }
    out.put_slice(b"\r\n");
}

/// The task's end of a [`HttpLink`].
#[derive(Debug)]
pub(crate) struct HttpTransport {
    link: Arc<HttpLink>,
}

impl HttpTransport {
    pub(crate) const fn new(link: Arc<HttpLink>) -> Self {
        Self { link }
    }
}

impl Transport for HttpTransport {
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Received> {
        let mut inner = self.link.inner.lock();
        if let Some(received) = inner.incoming.take() {
            let poster = inner.poster.take();
            drop(inner);
            wake(poster);
            return Poll::Ready(received);
        }
        if inner.gone {
            return Poll::Ready(Received::Closed);
        }
        set(&mut inner.task, cx);
        Poll::Pending
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), String>> {
        let mut inner = self.link.inner.lock();
        if inner.gone {
            return Poll::Ready(Err("the client is gone".into()));
        }
        if inner.outgoing_bytes < self.link.capacity {
            return Poll::Ready(Ok(()));
        }
        set(&mut inner.task, cx);
        Poll::Pending
    }

    fn send(&mut self, _: Encoding, frame: Bytes) -> Result<(), String> {
        let mut inner = self.link.inner.lock();
        inner.outgoing_bytes += frame.len();
        inner.outgoing.push(frame);
        let reader = inner.reader.take();
        drop(inner);
        wake(reader);
        Ok(())
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), String>> {
        let mut inner = self.link.inner.lock();
        // Between polls there is nobody to wait for.
        if self.link.kind == Kind::LongPolling || inner.outgoing.is_empty() || inner.gone {
            return Poll::Ready(Ok(()));
        }
        set(&mut inner.task, cx);
        Poll::Pending
    }

    fn is_attached(&mut self, cx: &Context<'_>) -> bool {
        let mut inner = self.link.inner.lock();
        set(&mut inner.task, cx);
        self.link.kind != Kind::LongPolling || inner.attached
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, _: bool) -> Poll<()> {
        self.link.end();
        let mut inner = self.link.inner.lock();
        if inner.told || inner.gone {
            return Poll::Ready(());
        }
        set(&mut inner.task, cx);
        Poll::Pending
    }
}

impl Drop for HttpTransport {
    fn drop(&mut self) {
        self.link.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_a_field_for_each_line() {
        let mut out = BytesMut::new();
        write_event(b"{}\x1e", &mut out);
        write_event(b"a\nb\r\n\nc", &mut out);
        assert_eq!(&out[..], b"data: {}\x1e\r\n\r\ndata: a\r\ndata: b\r\ndata: \r\ndata: c\r\n\r\n");
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_fetches_is_not_taken_without_limit() {
        let link = HttpLink::new(Kind::LongPolling, 4);
        let mut transport = HttpTransport::new(link.clone());
        let mut sent = 0;
        let mut fill = || {
            let mut cx = Context::from_waker(Waker::noop());
            while let Poll::Ready(Ok(())) = transport.poll_ready(&mut cx) {
                transport.send(Encoding::Json, Bytes::from_static(b"abc")).unwrap();
                sent += 1;
            }
            sent
        };
        assert_eq!(fill(), 2);
        assert_eq!(link.poll(Duration::from_secs(1)).await, Polled::Data("abcabc".into()));
        assert_eq!(fill(), 4);
        assert_eq!(link.poll(Duration::from_secs(1)).await, Polled::Data("abcabc".into()));
        assert_eq!(link.poll(Duration::from_secs(1)).await, Polled::Nothing);
        drop(transport);
        assert_eq!(link.poll(Duration::from_secs(1)).await, Polled::Over);
        assert!(!link.post(Received::Closed).await);
    }
}
