//! The interop hub on our server; `tests/interop/HUB.md` says what it does.
//!
//! `interop-server [--listen HOST:PORT] [--origin ORIGIN]…`: where to listen, a free port of 127.0.0.1 unless it is said, and
//! from which pages browsers may come.
#![allow(clippy::print_stdout)]

mod delivery;
mod observed;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use hubwire_server::config::Config;
use hubwire_server::{Context, DisconnectReason, Hub, HubError, HubOptions, Server, State, UploadStream};
use rmpv::Value;
use serde::Serialize;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use delivery::Extras;
use observed::Observed;

/// For these tests only; HUB.md has it too.
const KEY: &str = "interop-tests-only-0123456789abcdef";

/// What the methods remember for later questions.
#[derive(Default)]
struct Memory {
    disconnected: Mutex<HashMap<String, Option<String>>>,
    cancelled: Mutex<HashMap<String, bool>>,
    noted: Mutex<HashMap<String, Vec<i64>>>,
    observed: Observed,
}

type Shared = State<Arc<Memory>>;
type Done = Result<(), HubError>;

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn echo(value: Value) -> Result<Value, HubError> {
    Ok(value)
}

async fn void(_: String) -> Done {
    Ok(())
}

async fn add(a: i64, b: i64) -> Result<i64, HubError> {
    a.checked_add(b).ok_or_else(|| HubError::new("overflow"))
}

async fn connection_id(ctx: Context) -> Result<String, HubError> {
    Ok(ctx.connection_id().to_owned())
}

async fn user_id(ctx: Context) -> Result<Option<String>, HubError> {
    Ok(ctx.user_id().map(str::to_owned))
}

async fn throw_hub(text: String) -> Done {
    Err(HubError::new(text))
}

async fn throw(text: String) -> Done {
    Err(HubError::named("InvalidOperationException", text))
}

async fn to_caller(ctx: Context, event: String, value: Value) -> Done {
    Ok(ctx.clients().caller().send(&event, (value,))?)
}

async fn to_caller_three(ctx: Context, event: String, a: Value, b: Value, c: Value) -> Done {
    Ok(ctx.clients().caller().send(&event, (a, b, c))?)
}

async fn to_others(ctx: Context, event: String, value: Value) -> Done {
    Ok(ctx.clients().others().send(&event, (value,))?)
}

async fn to_all(ctx: Context, event: String, value: Value) -> Done {
    Ok(ctx.clients().all().send(&event, (value,))?)
}

async fn to_all_except(ctx: Context, ids: Vec<String>, event: String, value: Value) -> Done {
    Ok(ctx.clients().all_except(ids).send(&event, (value,))?)
}

async fn to_connection(ctx: Context, id: String, event: String, value: Value) -> Done {
    Ok(ctx.clients().client(id).send(&event, (value,))?)
}

async fn to_user(ctx: Context, user: String, event: String, value: Value) -> Done {
    Ok(ctx.clients().user(user).send(&event, (value,))?)
}

async fn join(ctx: Context, group: String) -> Done {
    ctx.groups().add(ctx.connection_id(), &group)?;
    Ok(())
}

async fn leave(ctx: Context, group: String) -> Done {
    ctx.groups().remove(ctx.connection_id(), &group);
    Ok(())
}

async fn to_group(ctx: Context, group: String, event: String, value: Value) -> Done {
    Ok(ctx.clients().group(group).send(&event, (value,))?)
}

async fn to_group_except(ctx: Context, group: String, ids: Vec<String>, event: String, value: Value) -> Done {
    Ok(ctx.clients().group_except(group, ids).send(&event, (value,))?)
}

async fn to_others_in_group(ctx: Context, group: String, event: String, value: Value) -> Done {
    Ok(ctx.clients().others_in_group(group).send(&event, (value,))?)
}

async fn push_many(ctx: Context, event: String, count: u32) -> Result<u32, HubError> {
    for number in 0..count {
        ctx.clients().caller().send(&event, (number,))?;
    }
    Ok(count)
}

async fn push_from(ctx: Context, event: String, first: u32, count: u32) -> Done {
    for number in first..first.saturating_add(count) {
        ctx.clients().caller().send(&event, (number,))?;
    }
    Ok(())
}

async fn note(State(memory): Shared, key: String, number: i64) -> Done {
    locked(&memory.noted).entry(key).or_default().push(number);
    Ok(())
}

async fn noted(State(memory): Shared, key: String) -> Result<Vec<i64>, HubError> {
    Ok(locked(&memory.noted).get(&key).cloned().unwrap_or_default())
}

fn numbers(delay: u64) -> impl Stream<Item = i64> + Send {
    stream::unfold(0, move |number| async move {
        if number > 0 && delay > 0 {
            tokio::time::sleep(Duration::from_millis(delay)).await;
        }
        Some((number, number + 1))
    })
}

async fn count(
    count: usize,
    delay: u64,
) -> Result<impl Stream<Item = Result<i64, HubError>> + Send + 'static, HubError> {
    Ok(numbers(delay).take(count).map(Ok))
}

async fn count_then_fail(
    count: usize,
    text: String,
) -> Result<impl Stream<Item = Result<i64, HubError>> + Send + 'static, HubError> {
    Ok(numbers(0).take(count).map(Ok).chain(stream::iter([Err(HubError::new(text))])))
}

async fn forever(
    ctx: Context,
    State(memory): Shared,
    key: String,
    delay: u64,
) -> Result<impl Stream<Item = Result<i64, HubError>> + Send + 'static, HubError> {
    let cancellation = ctx.cancellation();
    tokio::spawn(async move {
        cancellation.cancelled().await;
        locked(&memory.cancelled).insert(key, true);
    });
    Ok(numbers(delay).map(Ok))
}

async fn was_cancelled(State(memory): Shared, key: String) -> Result<bool, HubError> {
    Ok(locked(&memory.cancelled).contains_key(&key))
}

async fn total(mut items: UploadStream<i64>) -> Result<i64, HubError> {
    let mut sum = 0;
    while let Some(item) = items.next().await {
        sum += item?;
    }
    Ok(sum)
}

async fn sum_to_caller(ctx: Context, event: String, items: UploadStream<i64>) -> Done {
    let sum = total(items).await?;
    Ok(ctx.clients().caller().send(&event, (sum,))?)
}

async fn label(label: String, items: UploadStream<String>) -> Result<String, HubError> {
    let items: Vec<_> = items.collect().await;
    let items: Result<Vec<_>, _> = items.into_iter().collect();
    Ok(format!("{label}:{}", items?.join(",")))
}

async fn double(
    items: UploadStream<i64>,
) -> Result<impl Stream<Item = Result<i64, HubError>> + Send + 'static, HubError> {
    Ok(items.map(|item| item.map(|item| item * 2)))
}

/// A client's answer, told so that the text of a failure is seen as it is.
#[derive(Serialize)]
struct Answer {
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl From<Result<Value, HubError>> for Answer {
    fn from(result: Result<Value, HubError>) -> Self {
        match result {
            Ok(value) => Self { ok: true, value: Some(value), error: None },
            Err(error) => Self { ok: false, value: None, error: Some(error.message().to_owned()) },
        }
    }
}

async fn ask_caller(ctx: Context, method: String, value: Value) -> Result<Answer, HubError> {
    Ok(ctx.clients().caller().invoke::<Value>(&method, (value,)).await.into())
}

async fn ask_connection(ctx: Context, id: String, method: String, value: Value) -> Result<Answer, HubError> {
    Ok(ctx.clients().client(id).invoke::<Value>(&method, (value,)).await.into())
}

#[derive(Serialize)]
struct Seen {
    seen: bool,
    error: Option<String>,
}

async fn disconnected(State(memory): Shared, id: String) -> Result<Seen, HubError> {
    let seen = locked(&memory.disconnected).get(&id).cloned();
    Ok(Seen { seen: seen.is_some(), error: seen.flatten() })
}

async fn on_disconnected(ctx: Context, State(memory): Shared, reason: DisconnectReason) -> Done {
    locked(&memory.disconnected)
        .insert(ctx.connection_id().to_owned(), reason.0.as_deref().map(str::to_owned));
    Ok(())
}

async fn close_me(ctx: Context, allow_reconnect: bool, text: String) -> Done {
    let ended = ctx.cancellation();
    ctx.close(&text, allow_reconnect);
    // No completion: the connection is to end before the method does.
    ended.cancelled().await;
    Ok(())
}

fn hub(memory: &Arc<Memory>) -> Result<Hub, hubwire_server::BuildError> {
    let hub = Hub::builder()
        .state(memory.clone())
        .method("Echo", echo)
        .method("Void", void)
        .method("Add", add)
        .method("ConnectionId", connection_id)
        .method("UserId", user_id)
        .method("ThrowHub", throw_hub)
        .method("Throw", throw)
        .method("ToCaller", to_caller)
        .method("ToCallerThree", to_caller_three)
        .method("ToOthers", to_others)
        .method("ToAll", to_all)
        .method("ToAllExcept", to_all_except)
        .method("ToConnection", to_connection)
        .method("ToUser", to_user)
        .method("Join", join)
        .method("Leave", leave)
        .method("ToGroup", to_group)
        .method("ToGroupExcept", to_group_except)
        .method("ToOthersInGroup", to_others_in_group)
        .method("PushMany", push_many)
        .method("PushFrom", push_from)
        .method("Note", note)
        .method("Noted", noted)
        .stream("Count", count)
        .stream("CountThenFail", count_then_fail)
        .stream("Forever", forever)
        .method("WasCancelled", was_cancelled)
        .method("Sum", total)
        .method("SumToCaller", sum_to_caller)
        .method("Label", label)
        .stream("Double", double)
        .method("AskCaller", ask_caller)
        .method("AskConnection", ask_connection)
        .method("Disconnected", disconnected)
        .method("CloseMe", close_me)
        .on_disconnected(on_disconnected);
    observed::methods(hub).build()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut config = Config::default();
    let mut address = "127.0.0.1:0".to_owned();
    let mut arguments = std::env::args().skip(1);
    while let Some(option) = arguments.next() {
        match (option.as_str(), arguments.next()) {
            ("--listen", Some(value)) => address = value,
            ("--origin", Some(value)) => config.cors.origins.push(value),
            _ => return Err("usage: interop-server [--listen HOST:PORT] [--origin ORIGIN]…".into()),
        }
    }
    config.auth.signing_key = Some(KEY.into());
    config.times.keep_alive = Duration::from_secs(1);
    config.times.client_timeout = Duration::from_secs(5);
    config.times.handshake = Duration::from_secs(2);
    let options = HubOptions { stateful_reconnect: true, ..HubOptions::default() };
    let extras = Extras::new();
    let memory = Arc::new(Memory::default());
    let watched = Server::builder().config(config.clone()).hub("/hubs/interop", hub(&memory)?).build()?;
    observed::watch(watched, &memory).await?;
    let builder = Server::builder().config(config.clone()).hub_with("/hubs/interop", hub(&memory)?, options);
    let server = extras.mount(builder, &config)?.build()?;
    extras.begin(&server)?;
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let input_ended = async {
        let mut sink = [0; 256];
        let mut input = tokio::io::stdin();
        while !matches!(input.read(&mut sink).await, Ok(0) | Err(_)) {}
    };
    server.serve(listener, input_ended).await?;
    // The thread that reads standard input cannot be interrupted otherwise.
    std::process::exit(0)
}
