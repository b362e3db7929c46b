//! What bindings to other languages are built on: connections without handlers and futures, over real sockets.
#![allow(clippy::unwrap_used, missing_docs)]

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use e2e::proxy::Proxy;
use futures_util::StreamExt;
use hubwire::client::{
    CallId, CallKind, CallRequest, ConnectionState, Priority, Reply, Restored, RetryPolicy, Sequence,
    StoreOp, StoredCall, UploadId,
};
use hubwire::protocol::{Encoding, Payload};
use hubwire::raw::{FIRST_RESTORED, Listener, MAX_QUEUED, MAX_QUEUED_BYTES, Notice, OVER, RawConnection};
use hubwire::{ErrorKind, HubConnection, HubConnectionBuilder, OutboxStore, StoreError, Time};
use hubwire_server::testing::TestServer;
use hubwire_server::{Context as Caller, Hub, HubError, Server, State, UploadStream};
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::mpsc;

const ENCODINGS: [Encoding; 2] = [Encoding::Json, Encoding::MessagePack];

/// What the hub was told, and how many items it has made.
#[derive(Default)]
struct Seen {
    told: Mutex<Vec<u64>>,
    made: AtomicUsize,
    left: tokio::sync::Notify,
}

async fn echo(value: Value) -> Result<Value, HubError> {
    Ok(value)
}

async fn tell(State(seen): State<Arc<Seen>>, number: u64) -> Result<(), HubError> {
    seen.told.lock().push(number);
    Ok(())
}

async fn flood(
    State(seen): State<Arc<Seen>>,
    count: usize,
) -> Result<impl futures_util::Stream<Item = Result<String, HubError>> + Send + 'static, HubError> {
    Ok(futures_util::stream::iter(0..count).map(move |number| {
        seen.made.fetch_add(1, Ordering::Relaxed);
        Ok(format!("{number:0>1000}"))
    }))
}

async fn ask(caller: Caller, method: String, value: Value) -> Result<Value, HubError> {
    caller.clients().caller().invoke(&method, (value,)).await
}

async fn sizes(mut items: UploadStream<String>) -> Result<(usize, usize), HubError> {
    let (mut count, mut bytes) = (0, 0);
    while let Some(item) = items.next().await {
        count += 1;
        bytes += item?.len();
    }
    Ok((count, bytes))
}

async fn left(State(seen): State<Arc<Seen>>) -> Result<(), HubError> {
    seen.left.notify_one();
    Ok(())
}

async fn serve() -> (TestServer, Arc<Seen>) {
    let seen = Arc::new(Seen::default());
    let hub = Hub::builder()
        .state(seen.clone())
        .method("Echo", echo)
        .method("Tell", tell)
        .stream("Flood", flood)
        .method("Ask", ask)
        .method("Sizes", sizes)
        .on_disconnected(left)
        .build()
        .unwrap();
    let server = Server::builder().hub("/hub", hub).build().unwrap();
    (TestServer::start(server).await.unwrap(), seen)
}

/// Room for so many notices, which a test may take away.
#[derive(Default)]
struct Room {
    left: Mutex<(usize, Option<Waker>)>,
}

impl Room {
    fn set(&self, room: usize) {
        let waker = {
            let mut left = self.left.lock();
            left.0 = room;
            left.1.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

struct Ears {
    notices: mpsc::UnboundedSender<Notice>,
    room: Arc<Room>,
}

impl Listener for Ears {
    fn notice(&mut self, notice: Notice) -> Option<Notice> {
        let mut left = self.room.left.lock();
        if left.0 == 0 {
            return Some(notice);
        }
        left.0 -= 1;
        let _ = self.notices.send(notice);
        None
    }

    fn flush(&mut self) {}

    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut left = self.room.left.lock();
        if left.0 > 0 {
            return Poll::Ready(());
        }
        left.1 = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// A connection and what is told of it.
struct Heard {
    connection: RawConnection,
    notices: mpsc::UnboundedReceiver<Notice>,
    room: Arc<Room>,
}

impl Heard {
    fn of(builder: HubConnectionBuilder) -> Self {
        let (sender, notices) = mpsc::unbounded_channel();
        let room = Arc::new(Room::default());
        room.set(usize::MAX);
        let connection = builder.build_raw(Ears { notices: sender, room: room.clone() }).unwrap();
        Self { connection, notices, room }
    }

    async fn connected(server: &TestServer, encoding: Encoding) -> Self {
        let builder = HubConnection::builder(server.url("/hub")).encoding(encoding);
        let mut heard = Self::of(builder.retry(RetryPolicy::never()));
        heard.connection.start(1).unwrap();
        heard.state(ConnectionState::Connected).await;
        heard
    }

    async fn next(&mut self) -> Notice {
        soon(self.notices.recv()).await.unwrap()
    }

    /// The next notice but events, which the quality and the outbox are.
    async fn news(&mut self) -> Notice {
        loop {
            match self.next().await {
                Notice::Event(_) => {}
                notice => return notice,
            }
        }
    }

    async fn state(&mut self, state: ConnectionState) {
        loop {
            if let Notice::State(change) = self.next().await
                && change.to == state
            {
                return;
            }
        }
    }

    fn payload(&self, value: &impl Serialize) -> Payload {
        Payload::encode(self.connection.encoding(), value).unwrap()
    }

    fn request(
        &self,
        id: u64,
        kind: CallKind,
        target: &str,
        arguments: &impl Serialize,
    ) -> CallRequest<Payload> {
        let arguments = Payload::encode_arguments(self.connection.encoding(), arguments).unwrap();
        CallRequest::new(CallId(id), kind, target, arguments)
    }

    fn call(&self, id: u64, kind: CallKind, target: &str, arguments: &impl Serialize) -> bool {
        self.connection.call(self.request(id, kind, target, arguments)).unwrap()
    }

    /// The end of a call of a method that gives nothing.
    async fn done(&mut self, id: u64) {
        assert!(self.completed(id).await.unwrap().is_none_or(|value| value.is_null()));
    }

    async fn completed(&mut self, id: u64) -> Result<Option<Payload>, hubwire::Error> {
        loop {
            if let Notice::Completed(call, result) = self.next().await {
                assert_eq!(call, CallId(id));
                return result;
            }
        }
    }
}

/// Fails the test rather than hanging it.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("not in time")
}

#[tokio::test]
async fn everything_is_told_in_order_with_the_ids_of_the_caller() {
    let (server, _) = serve().await;
    for encoding in ENCODINGS {
        let mut heard = Heard::of(HubConnection::builder(server.url("/hub")).encoding(encoding));
        heard.connection.start(7).unwrap();
        for state in [ConnectionState::Connecting, ConnectionState::Connected] {
            assert!(matches!(heard.news().await, Notice::State(change) if change.to == state));
        }
        heard.connection.start(8).unwrap();
        let Notice::NotStarted(8, error) = heard.news().await else { panic!("started twice") };
        assert_eq!(error.kind(), ErrorKind::Misuse);

        assert!(!heard.call(1, CallKind::Invoke, "Echo", &("a",)));
        let value = heard.completed(1).await.unwrap().unwrap();
        assert_eq!(value.decode::<String>(), Ok("a".to_owned()));
        heard.call(2, CallKind::Invoke, "Tell", &(1,));
        heard.done(2).await;
        heard.call(3, CallKind::Invoke, "Nothing", &());
        assert_eq!(heard.completed(3).await.unwrap_err().kind(), ErrorKind::Refused);

        heard.call(4, CallKind::Stream, "Flood", &(2,));
        for number in 0..2 {
            let Notice::Item(CallId(4), item) = heard.news().await else { panic!("no item") };
            assert_eq!(item.decode::<String>(), Ok(format!("{number:0>1000}")));
        }
        heard.done(4).await;

        heard.call(5, CallKind::Invoke, "Ask", &("Question", 20));
        let Notice::Invocation { target, arguments, reply: Some(reply), delivery: None } = heard.news().await
        else {
            panic!("nobody asked")
        };
        assert_eq!((&*target, arguments.decode::<(u64,)>()), ("Question", Ok((20,))));
        heard.connection.reply(reply, Reply::Value(heard.payload(&21))).unwrap();
        assert_eq!(heard.completed(5).await.unwrap().unwrap().decode(), Ok(21));

        heard.connection.stop();
        for state in [ConnectionState::Disconnecting, ConnectionState::Disconnected] {
            assert!(matches!(heard.news().await, Notice::State(change) if change.to == state));
        }
        assert!(matches!(heard.news().await, Notice::Stopped));
        // One that is stopped already is so at once.
        heard.connection.stop();
        assert!(matches!(heard.news().await, Notice::Stopped));
    }
}

#[tokio::test]
async fn a_stop_is_behind_what_was_asked_for_before_it() {
    let (server, seen) = serve().await;
    let heard = Heard::connected(&server, Encoding::Json).await;
    for number in 0..1_000 {
        heard.call(number + 1, CallKind::Send, "Tell", &(number,));
    }
    heard.connection.stop();
    soon(seen.left.notified()).await;
    assert_eq!(*seen.told.lock(), (0..1_000).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_send_over_a_connection_is_over_when_it_is_made() {
    let (server, seen) = serve().await;
    let mut heard = Heard::connected(&server, Encoding::Json).await;
    assert!(heard.call(1, CallKind::Send, "Tell", &(1,)));
    // One that may be told apart is told of.
    let mut durable = heard.request(2, CallKind::Send, "Tell", &(2,));
    durable.options.idempotent = true;
    assert!(!heard.connection.call(durable).unwrap());
    heard.done(2).await;
    heard.connection.stop();
    heard.state(ConnectionState::Disconnected).await;
    assert!(matches!(heard.news().await, Notice::Stopped));
    assert_eq!(*seen.told.lock(), [1, 2]);
    // Without a connection it waits for one, and can be taken back.
    assert!(!heard.call(3, CallKind::Send, "Tell", &(3,)));
    assert!(matches!(heard.news().await, Notice::Queued(CallId(3))));
    heard.connection.cancel(CallId(3));
    assert_eq!(heard.completed(3).await.unwrap_err().kind(), ErrorKind::Cancelled);
}

#[tokio::test]
async fn a_call_can_be_taken_back_before_it_is_taken() {
    let (server, seen) = serve().await;
    let mut heard = Heard::connected(&server, Encoding::Json).await;
    // The driver runs on this thread: it has taken none of them.
    heard.call(1, CallKind::Invoke, "Tell", &(1,));
    heard.call(2, CallKind::Invoke, "Tell", &(2,));
    heard.connection.cancel(CallId(1));
    heard.connection.cancel(CallId(2));
    heard.call(3, CallKind::Invoke, "Tell", &(3,));
    for id in [1, 2] {
        assert_eq!(heard.completed(id).await.unwrap_err().kind(), ErrorKind::Cancelled);
    }
    heard.done(3).await;
    assert_eq!(*seen.told.lock(), [3]);
}

#[tokio::test]
async fn who_does_not_listen_holds_the_server_back() {
    let (server, seen) = serve().await;
    for encoding in ENCODINGS {
        const COUNT: usize = 60_000;
        seen.made.store(0, Ordering::Relaxed);
        let mut heard = Heard::connected(&server, encoding).await;
        heard.room.set(3);
        heard.call(1, CallKind::Stream, "Flood", &(COUNT,));
        let mut before = usize::MAX;
        soon(async {
            loop {
                // Until what is between is full.
                tokio::time::sleep(Duration::from_millis(100)).await;
                let now = seen.made.load(Ordering::Relaxed);
                if now == before && now > 0 {
                    break;
                }
                before = now;
            }
        })
        .await;
        assert!(before < COUNT, "the server made all {COUNT} items for somebody who took three");
        heard.room.set(usize::MAX);
        for number in 0..COUNT {
            let Notice::Item(_, item) = heard.news().await else { panic!("no item") };
            assert_eq!(item.decode::<String>(), Ok(format!("{number:0>1000}")));
        }
        heard.done(1).await;
    }
}

#[tokio::test]
async fn who_uploads_is_told_to_wait_and_when_there_is_room() {
    let (server, _) = serve().await;
    let mut heard = Heard::connected(&server, Encoding::Json).await;
    let mut request = heard.request(1, CallKind::Invoke, "Sizes", &());
    request.uploads.push(UploadId(2));
    heard.connection.call(request).unwrap();
    assert!(matches!(heard.news().await, Notice::UploadStarted(UploadId(2))));
    let item = heard.payload(&"x".repeat(10_000));
    let (mut uploaded, mut waited) = (0, 0);
    while waited < 5 {
        uploaded += 1;
        if !heard.connection.upload(UploadId(2), item.clone()).unwrap() {
            waited += 1;
            assert!(matches!(heard.news().await, Notice::Room));
        }
    }
    heard.connection.end_upload(UploadId(2), None).unwrap();
    let sizes = heard.completed(1).await.unwrap().unwrap();
    assert_eq!(sizes.decode(), Ok((uploaded, uploaded * 10_000)));
}

#[tokio::test]
async fn what_waits_is_bounded() {
    let (server, _) = serve().await;
    // The driver runs on this thread, which it does not get.
    let heard = Heard::connected(&server, Encoding::Json).await;
    for id in 1..=MAX_QUEUED as u64 {
        heard.call(id, CallKind::Send, "Tell", &(id,));
    }
    let more = heard.request(1 << 40, CallKind::Send, "Tell", &(0,));
    assert_eq!(heard.connection.call(more).unwrap_err().kind(), ErrorKind::Overflow);

    let mut heard = Heard::connected(&server, Encoding::Json).await;
    let large = "x".repeat(MAX_QUEUED_BYTES / 4);
    for id in 1..=3 {
        heard.call(id, CallKind::Invoke, "Nothing", &(&large,));
    }
    let more = heard.request(4, CallKind::Invoke, "Nothing", &(&large,));
    assert_eq!(heard.connection.call(more).unwrap_err().kind(), ErrorKind::Overflow);
    // The server does not take such calls either, and every one has an end.
    for _ in 1..=3 {
        soon(poll_fn(|cx| heard.notices.poll_recv(cx))).await.unwrap();
    }
}

#[tokio::test]
async fn a_policy_is_asked_before_anybody_is_told_of_reconnecting() {
    for gives_up in [true, false] {
        let (server, _) = serve().await;
        let proxy = Proxy::start(server.address()).await.unwrap();
        let builder = HubConnection::builder(format!("http://{}/hub", proxy.address()));
        let mut heard = Heard::of(builder.retry(RetryPolicy::custom()));
        heard.connection.start(1).unwrap();
        heard.state(ConnectionState::Connected).await;
        proxy.cut_all();
        let Notice::Retry { request, context, change: Some(change) } = heard.news().await else {
            panic!("nobody was asked")
        };
        assert_eq!((context.previous_retry_count, change.to), (0, ConnectionState::Reconnecting));
        heard.connection.retry_after(request, (!gives_up).then_some(Duration::ZERO));
        let state = if gives_up { ConnectionState::Disconnected } else { ConnectionState::Connected };
        let next = heard.news().await;
        assert!(matches!(&next, Notice::State(change) if change.to == state), "{next:?}");
    }
}

/// A store with two calls of an earlier process.
struct Kept;

impl OutboxStore for Kept {
    fn load(&mut self) -> Result<Restored<Payload>, StoreError> {
        let call = |number: u64| StoredCall {
            kind: CallKind::Invoke,
            target: "Tell".into(),
            arguments: Payload::encode(Encoding::Json, &(number,)).unwrap(),
            priority: Priority::Normal,
            supersede_key: None,
            queued_at: Time::ZERO,
            expires_at: None,
        };
        let calls = vec![(Sequence(1), call(1)), (Sequence(2), call(2))];
        Ok(Restored { next: Sequence(3), client_id: "a-client-of-these-tests-0123456789".into(), calls })
    }

    fn apply(&mut self, _: &[StoreOp<Payload>]) -> Result<(), StoreError> {
        Ok(())
    }
}

#[tokio::test]
async fn calls_of_the_store_are_told_first_and_end_as_others() {
    let (server, seen) = serve().await;
    let mut heard = Heard::of(HubConnection::builder(server.url("/hub")).outbox_store(Kept));
    let Notice::Restored(calls) = heard.next().await else { panic!("something came before") };
    let tell = "Tell".to_owned();
    assert_eq!(calls, [(CallId(FIRST_RESTORED), tell.clone()), (CallId(FIRST_RESTORED + 1), tell)]);
    heard.connection.start(1).unwrap();
    for id in [FIRST_RESTORED, FIRST_RESTORED + 1] {
        heard.done(id).await;
    }
    assert_eq!(*seen.told.lock(), [1, 2]);
    assert_eq!(OVER * 2, FIRST_RESTORED);
}

#[tokio::test]
async fn dropping_it_stops_the_connection() {
    let (server, seen) = serve().await;
    let heard = Heard::connected(&server, Encoding::Json).await;
    drop(heard.connection);
    soon(seen.left.notified()).await;
}
