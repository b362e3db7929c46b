//! Many hubs of one server: shared configuration, one connection each, idle hubs and the limit, over real sockets.
#![allow(clippy::unwrap_used, missing_docs)]

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::{FutureExt, stream};
use hubwire::client::{Cause, ConnectionState, RetryPolicy};
use hubwire::{ErrorKind, HubConnection, HubManager, HubManagerBuilder};
use hubwire_server::testing::TestServer;
use hubwire_server::{Context, Hub, HubError, Server, UploadStream};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

const CHAT: &str = "/hubs/chat";
const NEWS: &str = "/hubs/news";
const TASKS: &str = "/hubs/tasks";
/// Long enough for what must not be idle to be noticed, short enough for a test.
const SHORT: Duration = Duration::from_millis(50);

async fn echo(value: i64) -> Result<i64, HubError> {
    Ok(value)
}

async fn wait_for_ever(ctx: Context) -> Result<(), HubError> {
    ctx.cancellation().cancelled().await;
    Ok(())
}

async fn swallow(mut items: UploadStream<i64>) -> Result<(), HubError> {
    use futures_util::StreamExt;
    while let Some(item) = items.next().await {
        item?;
    }
    Ok(())
}

fn hub() -> Hub {
    let hub = Hub::builder().method("Echo", echo).method("WaitForEver", wait_for_ever);
    hub.method("Swallow", swallow).build().unwrap()
}

async fn start() -> TestServer {
    let server = Server::builder().hub(CHAT, hub()).hub(NEWS, hub()).hub(TASKS, hub()).build().unwrap();
    TestServer::start(server).await.unwrap()
}

fn builder(server: &TestServer) -> HubManagerBuilder {
    HubManager::builder(server.url("/"))
}

/// Fails the test rather than hanging it.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("not in time")
}

/// The changes of all hubs, as they come: the path and the new state.
fn changes(manager: &HubManager) -> mpsc::UnboundedReceiver<(String, ConnectionState)> {
    let (sender, receiver) = mpsc::unbounded_channel();
    manager.on_state_change(move |path, change| drop(sender.send((path.to_owned(), change.to))));
    receiver
}

async fn until(
    changes: &mut mpsc::UnboundedReceiver<(String, ConnectionState)>,
    path: &str,
    state: ConnectionState,
) {
    while soon(changes.recv()).await.unwrap() != (path.to_owned(), state) {}
}

fn state(manager: &HubManager, path: &str) -> ConnectionState {
    manager.states().into_iter().find(|(hub, _)| hub == path).unwrap().1
}

#[tokio::test]
async fn one_path_has_one_connection() {
    let server = start().await;
    let manager = builder(&server).build().unwrap();
    let chat = manager.hub(CHAT).unwrap();
    assert_eq!(chat.state(), ConnectionState::Disconnected);
    // However it is written.
    let (same, again) = (manager.hub("hubs/chat").unwrap(), manager.clone().hub("//hubs/chat").unwrap());
    soon(manager.connect(CHAT)).await.unwrap();
    let id = chat.connection_id().unwrap();
    assert_eq!((same.connection_id().unwrap(), again.connection_id().unwrap()), (id.clone(), id.clone()));
    assert_eq!(manager.states(), [(CHAT.to_owned(), ConnectionState::Connected)]);
    assert_ne!(soon(manager.connect(NEWS)).await.unwrap().connection_id().unwrap(), id);
    // What is connected is not connected again.
    assert_eq!(soon(manager.connect(CHAT)).await.unwrap().connection_id().unwrap(), id);
    assert_eq!(soon(same.invoke::<i64>("Echo", (7,))).await, Ok(7));
}

#[tokio::test]
async fn one_hub_that_is_not_there_does_not_hold_up_the_others() {
    let server = start().await;
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let manager = builder(&server)
        .configure(move |hub| {
            let count = count.clone();
            hub.access_token_factory(move || {
                count.fetch_add(1, Ordering::Relaxed);
                async { Ok::<_, Infallible>(Some("token".to_owned())) }
            })
        })
        .build()
        .unwrap();
    let mut changes = changes(&manager);
    let results = soon(manager.connect_all([CHAT, "/hubs/none", NEWS])).await;
    let paths: Vec<&str> = results.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, [CHAT, "/hubs/none", NEWS]);
    let error = results[1].1.as_ref().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.detail().starts_with("/hubs/none: ") && error.detail().contains("404"), "{error}");
    for index in [0, 2] {
        let connection = results[index].1.as_ref().unwrap();
        assert_eq!(soon(connection.invoke::<i64>("Echo", (index,))).await, Ok(index as i64));
    }
    // Once for each, from one factory.
    assert_eq!(asked.load(Ordering::Relaxed), 3);
    until(&mut changes, CHAT, ConnectionState::Connected).await;

    soon(manager.disconnect_all()).await;
    assert!(manager.states().iter().all(|(_, state)| *state == ConnectionState::Disconnected));
    assert_eq!(manager.states().len(), 3);
    // For the next time.
    soon(manager.connect(CHAT)).await.unwrap();
    soon(manager.disconnect(CHAT)).await.unwrap();
    assert_eq!(state(&manager, CHAT), ConnectionState::Disconnected);
}

/// A server that takes connections and says nothing, and one that is not there at all.
#[tokio::test]
async fn a_late_hub_is_reported_and_still_made() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let manager = HubManager::builder(format!("http://{address}"))
        .connect_timeout(SHORT)
        .configure(|hub| {
            hub.retry(RetryPolicy::table(vec![SHORT; 1_000]).with_first_start(true)).skip_negotiation(true)
        })
        .build()
        .unwrap();
    let error = soon(manager.connect(CHAT)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let detail = "/hubs/chat: There was no connection within 50ms; it is still being made.";
    assert_eq!(error.detail(), detail);
    assert_eq!(state(&manager, CHAT), ConnectionState::Connecting);
    // The server comes up: nobody has to ask again.
    let listener = loop {
        if let Ok(listener) = TcpListener::bind(address).await {
            break listener;
        }
    };
    soon(listener.accept()).await.unwrap();
    // It can be taken back while it is being made.
    soon(manager.disconnect_all()).await;
    assert_eq!(state(&manager, CHAT), ConnectionState::Disconnected);
}

/// The start is still on its way to the connection, and comes behind the stop.
#[tokio::test]
async fn a_start_that_was_taken_back_does_not_come_later() {
    let server = start().await;
    let manager = builder(&server).build().unwrap();
    let mut connect = Box::pin(manager.connect(CHAT));
    assert!((&mut connect).now_or_never().is_none());
    soon(manager.disconnect_all()).await;
    assert_eq!(soon(connect).await.unwrap_err().kind(), ErrorKind::Cancelled);
    soon(manager.connect(NEWS)).await.unwrap();
    assert_eq!(state(&manager, CHAT), ConnectionState::Disconnected);
    soon(manager.connect(CHAT)).await.unwrap();
}

/// The same, wherever the start is by then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disconnect_right_behind_a_connect_wins() {
    let server = start().await;
    let manager = builder(&server).build().unwrap();
    for _ in 0..50 {
        let connect = tokio::spawn({
            let manager = manager.clone();
            async move { manager.connect(CHAT).await }
        });
        tokio::task::yield_now().await;
        soon(manager.disconnect_all()).await;
        match soon(connect).await.unwrap() {
            Err(error) => assert_eq!(error.kind(), ErrorKind::Cancelled),
            // It was asked for later, or was there already.
            Ok(_) => soon(manager.disconnect_all()).await,
        }
        assert!(manager.states().iter().all(|(_, state)| *state == ConnectionState::Disconnected));
    }
}

#[tokio::test]
async fn an_idle_hub_is_closed_and_comes_back() {
    let server = start().await;
    let manager = builder(&server).idle_after(Some(SHORT)).build().unwrap();
    let mut changes = changes(&manager);
    let chat = soon(manager.connect(CHAT)).await.unwrap();
    until(&mut changes, CHAT, ConnectionState::Connected).await;
    // News is used by nobody, chat is.
    drop(soon(manager.connect(NEWS)).await.unwrap());
    until(&mut changes, NEWS, ConnectionState::Disconnected).await;
    assert_eq!(chat.state(), ConnectionState::Connected);
    // A clone is a use, whoever holds it.
    let clone = chat.clone();
    drop(chat);
    drop(soon(manager.connect(NEWS)).await.unwrap());
    until(&mut changes, NEWS, ConnectionState::Disconnected).await;
    assert_eq!(clone.state(), ConnectionState::Connected);
    drop(clone);
    until(&mut changes, CHAT, ConnectionState::Disconnected).await;
    // Calls wait for it, without connecting first.
    let chat = manager.hub(CHAT).unwrap();
    assert_eq!(soon(chat.invoke::<i64>("Echo", (1,))).await, Ok(1));
    // What was disconnected on request is not started by being used.
    drop(chat);
    soon(manager.disconnect_all()).await;
    assert_eq!(manager.hub(CHAT).unwrap().state(), ConnectionState::Disconnected);
}

/// Waits until another hub has been closed for being idle, so that this one would have been, too.
async fn let_idle(manager: &HubManager, changes: &mut mpsc::UnboundedReceiver<(String, ConnectionState)>) {
    for _ in 0..2 {
        drop(soon(manager.connect(TASKS)).await.unwrap());
        until(changes, TASKS, ConnectionState::Disconnected).await;
    }
}

#[tokio::test]
async fn handlers_calls_and_uploads_keep_a_hub() {
    let server = start().await;
    let manager = builder(&server).idle_after(Some(SHORT)).build().unwrap();
    let mut changes = changes(&manager);
    // Who listens wants the next message whenever it comes.
    let news = soon(manager.connect(NEWS)).await.unwrap();
    let subscription = news.on("News", |_: String| {});
    drop(news);
    // A call under way, whose future holds no handle that the application could see.
    let chat = soon(manager.connect(CHAT)).await.unwrap();
    let call = tokio::spawn(async move { chat.invoke::<()>("WaitForEver", ()).await });
    let_idle(&manager, &mut changes).await;
    assert_eq!(state(&manager, NEWS), ConnectionState::Connected);
    assert_eq!(state(&manager, CHAT), ConnectionState::Connected);
    // Nothing says that the last handler is gone, and it is noticed all the same.
    subscription.unsubscribe();
    until(&mut changes, NEWS, ConnectionState::Disconnected).await;
    call.abort();
    until(&mut changes, CHAT, ConnectionState::Disconnected).await;

    // An upload goes on when its call was sent.
    let chat = manager.hub(CHAT).unwrap();
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let items = stream::once(async move {
        let _ = ended.await;
        1
    });
    soon(chat.call("Swallow").upload(items).send()).await.unwrap();
    drop(chat);
    let_idle(&manager, &mut changes).await;
    assert_eq!(state(&manager, CHAT), ConnectionState::Connected);
    drop(end);
    until(&mut changes, CHAT, ConnectionState::Disconnected).await;
}

#[tokio::test]
async fn at_the_limit_an_idle_hub_gives_way_and_one_in_use_does_not() {
    let server = start().await;
    let manager = builder(&server).max_connections(2).idle_after(None).build().unwrap();
    let chat = soon(manager.connect(CHAT)).await.unwrap();
    let news = soon(manager.connect(NEWS)).await.unwrap();
    let error = soon(manager.connect(TASKS)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Overflow);
    assert!(error.detail().contains("max_connections allows, 2"), "{error}");
    drop(news);
    let tasks = soon(manager.connect(TASKS)).await.unwrap();
    assert_eq!(state(&manager, NEWS), ConnectionState::Disconnected);
    // It would be started again, if there was a place.
    assert_eq!(manager.hub(NEWS).unwrap_err().kind(), ErrorKind::Overflow);
    drop(chat);
    let news = manager.hub(NEWS).unwrap();
    assert_eq!(soon(news.invoke::<i64>("Echo", (3,))).await, Ok(3));
    assert_eq!(state(&manager, CHAT), ConnectionState::Disconnected);
    assert_eq!(tasks.state(), ConnectionState::Connected);
}

/// One that was refused is not in use: the place that it asked for goes to others.
#[tokio::test]
async fn a_refusal_leaves_nothing_behind() {
    let server = start().await;
    let manager = builder(&server).max_connections(1).build().unwrap();
    drop(soon(manager.connect(CHAT)).await.unwrap());
    drop(soon(manager.connect(NEWS)).await.unwrap());
    let tasks = soon(manager.connect(TASKS)).await.unwrap();
    for path in [CHAT, NEWS] {
        assert_eq!(manager.hub(path).unwrap_err().kind(), ErrorKind::Overflow);
    }
    drop(tasks);
    drop(soon(manager.connect(CHAT)).await.unwrap());
    soon(manager.connect(NEWS)).await.unwrap();
}

#[tokio::test]
async fn the_manager_holds_its_connections_and_lets_go_with_its_last_clone() {
    let server = start().await;
    let manager = builder(&server).build().unwrap();
    let mut changes = changes(&manager);
    let chat: HubConnection = soon(manager.connect(CHAT)).await.unwrap();
    drop(soon(manager.connect(NEWS)).await.unwrap());
    let clone = manager.clone();
    drop(manager);
    assert_eq!(state(&clone, NEWS), ConnectionState::Connected);
    drop(clone);
    until(&mut changes, NEWS, ConnectionState::Disconnected).await;
    assert_eq!(soon(chat.invoke::<i64>("Echo", (5,))).await, Ok(5));
}

#[tokio::test]
async fn changes_are_told_until_unsubscribed() {
    let server = start().await;
    let manager = builder(&server).build().unwrap();
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let subscription = manager.on_state_change(move |path, change| {
        drop(sender.send((path.to_owned(), change.from, change.to, change.cause.clone())));
    });
    soon(manager.connect(NEWS)).await.unwrap();
    let (path, from, to, cause) = soon(receiver.recv()).await.unwrap();
    assert_eq!((path.as_str(), from, to), (NEWS, ConnectionState::Disconnected, ConnectionState::Connecting));
    assert_eq!(cause, Cause::Requested);
    subscription.unsubscribe();
    soon(async { while receiver.recv().await.is_some() {} }).await;
}

#[tokio::test]
async fn options_are_checked() {
    let of = |builder: HubManagerBuilder| builder.build().unwrap_err();
    let url = "http://localhost:1";
    for (error, text) in [
        (of(HubManager::builder(url).max_connections(0)), "max_connections must be at least 1"),
        (
            of(HubManager::builder(url).idle_after(Some(Duration::ZERO))),
            "idle_after must be longer than zero",
        ),
        (
            of(HubManager::builder(url).connect_timeout(Duration::ZERO)),
            "connect_timeout must be longer than zero",
        ),
        (of(HubManager::builder("localhost")), "the url 'localhost' must begin with http:// or https://"),
    ] {
        assert_eq!((error.kind(), error.detail()), (ErrorKind::Misuse, text));
    }
    // What is wrong with the configuration of a hub is told when it is made.
    let manager = HubManager::builder(url).configure(|hub| hub.stream_buffer(0)).build().unwrap();
    assert_eq!(manager.hub(CHAT).unwrap_err().kind(), ErrorKind::Misuse);
    assert_eq!(manager.connect(CHAT).await.unwrap_err().kind(), ErrorKind::Misuse);
    assert!(manager.states().is_empty());
}
