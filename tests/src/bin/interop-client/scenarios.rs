//! What is tried. Names are those of the TypeScript suite where both do the same.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use hubwire::client::{Cause, ConnectionState, OutboxConfig, RetryPolicy};
use hubwire::protocol::{Encoding, Payload, Transport};
use hubwire::{ErrorKind, HubConnection, HubConnectionBuilder};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::Outcome;

/// Where to connect, and how.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) url: String,
    pub(crate) encoding: Encoding,
    pub(crate) transport: Transport,
}

pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) needs: &'static [&'static str],
    pub(crate) run: fn(Target) -> Pin<Box<dyn Future<Output = Outcome> + Send>>,
}

macro_rules! scenarios {
    ($($function:ident $name:literal [$($need:literal),*])*) => {
        pub(crate) const ALL: &[Scenario] = &[$(
            Scenario { name: $name, needs: &[$($need),*], run: |target| Box::pin($function(target)) },
        )*];
    };
}

scenarios! {
    connect "connect" []
    echo "echo-values" []
    echo_binary "echo-binary" ["binary"]
    void "void" []
    typed "typed-arguments" []
    names "method-names-ignore-case" []
    hub_error "hub-error" ["error-texts"]
    plain_error "plain-error" ["error-texts"]
    unknown_method "unknown-method" ["error-texts"]
    failing_calls "failing-calls-leave-the-connection" []
    concurrent "concurrent-200" []
    pushes "push-1000-in-order" []
    several_arguments "push-several-arguments" []
    without_handler "push-without-handler" []
    groups "push-group" []
    others "push-others" []
    send "send-runs-the-method" []
    stream_complete "stream-complete" []
    stream_empty "stream-empty" []
    stream_many "stream-1000" []
    stream_fails "stream-fails-midway" ["stream-errors"]
    stream_cancel "stream-cancel" []
    stream_as_invocation "stream-as-invocation" ["strict-streams"]
    upload "upload-complete" []
    upload_mixed "upload-with-arguments" []
    upload_fails "upload-fails" ["upload-errors"]
    both_ways "both-ways" []
    client_result "client-result" ["client-results"]
    client_result_error "client-result-error" ["client-results"]
    client_result_none "client-result-no-handler" ["client-results"]
    keep_alive "keep-alive" ["messagepack-pings"]
    stop "stop" []
    start_again "start-again" []
    server_close "server-close" ["messagepack-close"]
    server_close_error "server-close-with-error" ["messagepack-close"]
    not_found "unknown-hub" []
    nobody_listens "connection-refused" []
    skip_negotiation "skip-negotiation" ["websockets"]
}

fn builder(target: &Target) -> HubConnectionBuilder {
    // What happens when a connection ends is what the scenarios look at.
    HubConnection::builder(&target.url)
        .retry(RetryPolicy::never())
        .outbox(OutboxConfig::off())
        .encoding(target.encoding)
        .transports([target.transport])
        .keep_alive_interval(Duration::from_secs(1))
}

async fn started(target: &Target) -> Result<HubConnection, String> {
    let connection = builder(target).build().map_err(text)?;
    connection.start().await.map_err(text)?;
    Ok(connection)
}

fn text(error: impl ToString) -> String {
    error.to_string()
}

fn equal<T: PartialEq + Debug>(got: T, expected: T) -> Outcome {
    if got == expected { Ok(()) } else { Err(format!("got {got:?}, expected {expected:?}")) }
}

/// The value that every call of `event` carries, in order.
fn collect(connection: &HubConnection, event: &str) -> mpsc::UnboundedReceiver<Value> {
    let (sender, receiver) = mpsc::unbounded_channel();
    connection.on(event, move |value: Value| drop(sender.send(value)));
    receiver
}

async fn next(receiver: &mut mpsc::UnboundedReceiver<Value>) -> Result<Value, String> {
    receiver.recv().await.ok_or_else(|| "the events ended".to_owned())
}

async fn refusal(call: impl Future<Output = Result<Value, hubwire::Error>>, expected: &str) -> Outcome {
    match call.await {
        Ok(value) => Err(format!("succeeded with {value}")),
        Err(error) => equal((error.kind(), error.detail()), (ErrorKind::Refused, expected)),
    }
}

async fn connect(target: Target) -> Outcome {
    let connection = started(&target).await?;
    equal(connection.state(), ConnectionState::Connected)?;
    let id: String = connection.invoke("ConnectionId", ()).await.map_err(text)?;
    equal(connection.connection_id(), Some(id))
}

async fn echo(target: Target) -> Outcome {
    let connection = started(&target).await?;
    let long = "x".repeat(20_000);
    for value in [
        json!("plain"),
        json!(""),
        json!("Grüße, 世界, 😀 \"quoted\" \\ \n\u{1}"),
        json!(0),
        json!(-1),
        json!(65_536),
        json!(9_007_199_254_740_991_i64),
        json!(2.5),
        json!(-1e-7),
        json!(true),
        json!([]),
        json!([1, "two", [3.5, null], { "four": false }]),
        json!({ "a": { "b": { "c": [1, 2, 3] } }, "ünï": "cödé" }),
        json!(long),
    ] {
        equal(connection.invoke::<Value>("Echo", (&value,)).await.map_err(text)?, value)?;
    }
    Ok(())
}

/// What JSON cannot say comes back byte for byte.
async fn echo_binary(target: Target) -> Outcome {
    let connection = started(&target).await?;
    let bytes: &[u8] = match target.encoding {
        Encoding::Json => return Ok(()),
        // One argument: binary, and a timestamp of 2020-01-01 as the official packages write it.
        Encoding::MessagePack => {
            &[0x91, 0x92, 0xc4, 0x03, 0x00, 0xff, 0x80, 0xd6, 0xff, 0x5e, 0x0b, 0xe1, 0x00]
        }
    };
    let sent = Payload::from_encoded(target.encoding, bytes.to_vec().into()).map_err(text)?;
    let echoed = connection.call("Echo").raw_arguments(sent).invoke_raw().await.map_err(text)?;
    equal(echoed.bytes().as_ref(), &bytes[1..])
}

async fn void(target: Target) -> Outcome {
    let connection = started(&target).await?;
    connection.invoke::<()>("Void", ("x",)).await.map_err(text)?;
    equal(connection.invoke::<Option<i64>>("Void", ("x",)).await.map_err(text)?, None)
}

async fn typed(target: Target) -> Outcome {
    let connection = started(&target).await?;
    equal(connection.invoke::<i64>("Add", (40, 2)).await.map_err(text)?, 42)?;
    match connection.invoke::<String>("Add", (40, 2)).await {
        Err(error) => equal(error.kind(), ErrorKind::Protocol),
        Ok(value) => Err(format!("an integer was taken for the text {value:?}")),
    }
}

async fn names(target: Target) -> Outcome {
    let connection = started(&target).await?;
    equal(connection.invoke::<i64>("aDD", (1, 2)).await.map_err(text)?, 3)
}

async fn hub_error(target: Target) -> Outcome {
    let connection = started(&target).await?;
    let expected = "An unexpected error occurred invoking 'ThrowHub' on the server. HubException: no, ünï";
    refusal(connection.invoke("ThrowHub", ("no, ünï",)), expected).await
}

async fn plain_error(target: Target) -> Outcome {
    let connection = started(&target).await?;
    let expected = "An unexpected error occurred invoking 'Throw' on the server.";
    refusal(connection.invoke("Throw", ("secret",)), expected).await
}

async fn unknown_method(target: Target) -> Outcome {
    let connection = started(&target).await?;
    refusal(connection.invoke("NoSuchMethod", ()), "Unknown hub method 'NoSuchMethod'").await
}

async fn failing_calls(target: Target) -> Outcome {
    let connection = started(&target).await?;
    let calls: [(&str, Value); 4] = [
        ("ThrowHub", json!(["no"])),
        ("NoSuchMethod", json!([])),
        ("Add", json!([1])),
        ("Add", json!(["one", "two"])),
    ];
    for (method, arguments) in calls {
        match connection.invoke::<Value>(method, arguments).await {
            Ok(value) => return Err(format!("{method} succeeded with {value}")),
            Err(error) => equal(error.kind(), ErrorKind::Refused)?,
        }
    }
    equal(connection.invoke::<i64>("Add", (1, 1)).await.map_err(text)?, 2)
}

async fn concurrent(target: Target) -> Outcome {
    let connection = started(&target).await?;
    let calls = (0..200_i64).map(|number| {
        let connection = connection.clone();
        async move { (number, connection.invoke::<i64>("Add", (number, 1)).await) }
    });
    for (number, result) in futures_util::future::join_all(calls).await {
        equal(result.map_err(text)?, number + 1)?;
    }
    Ok(())
}

async fn pushes(target: Target) -> Outcome {
    let connection = started(&target).await?;
    let mut events = collect(&connection, "Pushed");
    equal(connection.invoke::<i64>("PushMany", ("Pushed", 1000)).await.map_err(text)?, 1000)?;
    for number in 0..1000 {
        equal(next(&mut events).await?, json!(number))?;
    }
    Ok(())
}

async fn several_arguments(target: Target) -> Outcome {
    let connection = started(&target).await?;
    let (sender, mut receiver) = mpsc::unbounded_channel();
    connection.on("Three", move |a: i64, b: String, c: Value| drop(sender.send((a, b, c))));
    connection.invoke::<()>("ToCallerThree", ("Three", 1, "two", json!([3]))).await.map_err(text)?;
    equal(receiver.recv().await, Some((1, "two".to_owned(), json!([3]))))
}

async fn without_handler(target: Target) -> Outcome {
    let connection = started(&target).await?;
    connection.invoke::<()>("ToCaller", ("NobodyListens", 1)).await.map_err(text)?;
    let mut events = collect(&connection, "SomebodyListens");
    connection.invoke::<()>("ToCaller", ("somebodylistens", 2)).await.map_err(text)?;
    equal(next(&mut events).await?, json!(2))
}

async fn groups(target: Target) -> Outcome {
    let (inside, outside) = (started(&target).await?, started(&target).await?);
    let (mut heard, mut not_heard) = (collect(&inside, "G"), collect(&outside, "G"));
    let group = format!("group-{}", inside.connection_id().unwrap_or_default());
    inside.invoke::<()>("Join", (&group,)).await.map_err(text)?;
    outside.invoke::<()>("ToGroup", (&group, "G", "one")).await.map_err(text)?;
    equal(next(&mut heard).await?, json!("one"))?;
    inside.invoke::<()>("Leave", (&group,)).await.map_err(text)?;
    outside.invoke::<()>("ToGroup", (&group, "G", "two")).await.map_err(text)?;
    // What comes after shows that nothing came before.
    inside.invoke::<()>("ToCaller", ("G", "three")).await.map_err(text)?;
    outside.invoke::<()>("ToCaller", ("G", "four")).await.map_err(text)?;
    equal(next(&mut heard).await?, json!("three"))?;
    equal(next(&mut not_heard).await?, json!("four"))
}

async fn others(target: Target) -> Outcome {
    let (caller, other) = (started(&target).await?, started(&target).await?);
    let (mut by_caller, mut by_other) = (collect(&caller, "O"), collect(&other, "O"));
    // The Go server counts a connection in only some time after its handshake; an answer shows that it has.
    other.invoke::<i64>("Add", (1, 1)).await.map_err(text)?;
    caller.invoke::<()>("ToOthers", ("O", 1)).await.map_err(text)?;
    equal(next(&mut by_other).await?, json!(1))?;
    caller.invoke::<()>("ToCaller", ("O", 2)).await.map_err(text)?;
    equal(next(&mut by_caller).await?, json!(2))
}

async fn send(target: Target) -> Outcome {
    let connection = started(&target).await?;
    let mut events = collect(&connection, "Sent");
    connection.send("ToCaller", ("Sent", "yes")).await.map_err(text)?;
    equal(next(&mut events).await?, json!("yes"))
}

async fn drain(
    connection: &HubConnection,
    method: &str,
    arguments: Value,
) -> (Vec<i64>, Option<hubwire::Error>) {
    let mut items = match connection.stream::<i64>(method, arguments).await {
        Ok(items) => items,
        Err(error) => return (Vec::new(), Some(error)),
    };
    let mut got = Vec::new();
    while let Some(item) = items.next().await {
        match item {
            Ok(item) => got.push(item),
            Err(error) => return (got, Some(error)),
        }
    }
    (got, None)
}

async fn stream_complete(target: Target) -> Outcome {
    let connection = started(&target).await?;
    equal(drain(&connection, "Count", json!([5, 0])).await, ((0..5).collect(), None))
}

async fn stream_empty(target: Target) -> Outcome {
    let connection = started(&target).await?;
    equal(drain(&connection, "Count", json!([0, 0])).await, (Vec::new(), None))
}

async fn stream_many(target: Target) -> Outcome {
    let connection = started(&target).await?;
    equal(drain(&connection, "Count", json!([1000, 0])).await, ((0..1000).collect(), None))
}

async fn stream_fails(target: Target) -> Outcome {
    let connection = started(&target).await?;
    let (items, error) = drain(&connection, "CountThenFail", json!([3, "no more"])).await;
    equal(items, vec![0, 1, 2])?;
    let expected = "An error occurred on the server while streaming results. HubException: no more";
    equal(error.as_ref().map(hubwire::Error::detail), Some(expected))
}

async fn stream_cancel(target: Target) -> Outcome {
    let connection = started(&target).await?;
    let key = format!("rust-{}", connection.connection_id().unwrap_or_default());
    let mut items = connection.stream::<i64>("Forever", (&key, 5)).await.map_err(text)?;
    for number in 0..3 {
        equal(items.next().await.transpose().map_err(text)?, Some(number))?;
    }
    drop(items);
    // Asked again until the server has seen it; the scenario's own time limit ends it.
    while !connection.invoke::<bool>("WasCancelled", (&key,)).await.map_err(text)? {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

async fn stream_as_invocation(target: Target) -> Outcome {
    let connection = started(&target).await?;
    let expected =
        "The client attempted to invoke the streaming 'Count' method with a non-streaming invocation.";
    refusal(connection.invoke("Count", (1, 0)), expected).await?;
    let (_, error) = drain(&connection, "Add", json!([1, 2])).await;
    let expected =
        "The client attempted to invoke the non-streaming 'Add' method with a streaming invocation.";
    equal(error.as_ref().map(hubwire::Error::detail), Some(expected))
}

async fn upload(target: Target) -> Outcome {
    let connection = started(&target).await?;
    for count in [0, 1, 500] {
        let sum =
            connection.call("Sum").upload(stream::iter(0..count)).invoke::<i64>().await.map_err(text)?;
        equal(sum, (0..count).sum())?;
    }
    Ok(())
}

async fn upload_mixed(target: Target) -> Outcome {
    let connection = started(&target).await?;
    let items = stream::iter(["a", "b", "ç"]);
    let label: String =
        connection.call("Label").arguments(("x",)).upload(items).invoke().await.map_err(text)?;
    equal(label.as_str(), "x:a,b,ç")
}

async fn upload_fails(target: Target) -> Outcome {
    let connection = started(&target).await?;
    let items = stream::iter([Ok(1), Err("lost the rest")]);
    let call = connection.call("Sum").try_upload(items).invoke::<Value>();
    refusal(call, "An unexpected error occurred invoking 'Sum' on the server. HubException: lost the rest")
        .await?;
    equal(connection.invoke::<i64>("Add", (1, 1)).await.map_err(text)?, 2)
}

async fn both_ways(target: Target) -> Outcome {
    let connection = started(&target).await?;
    let items = connection.call("Double").upload(stream::iter(0..100)).stream::<i64>().await.map_err(text)?;
    let items: Vec<_> = items.map(|item| item.map_err(text)).collect().await;
    equal(items.into_iter().collect::<Result<Vec<_>, _>>()?, (0..100).map(|item| item * 2).collect())
}

async fn client_result(target: Target) -> Outcome {
    let connection = started(&target).await?;
    connection.on_invoke("Question", |value: i64| async move { Ok::<_, String>(value * 2) });
    let answer: Value = connection.invoke("AskCaller", ("Question", 21)).await.map_err(text)?;
    equal(answer, json!({ "ok": true, "value": 42 }))
}

async fn client_result_error(target: Target) -> Outcome {
    let connection = started(&target).await?;
    connection.on_invoke("Question", |_: i64| async move { Err::<i64, _>("not today") });
    let answer: Value = connection.invoke("AskCaller", ("Question", 21)).await.map_err(text)?;
    equal(answer, json!({ "ok": false, "error": "not today" }))
}

async fn client_result_none(target: Target) -> Outcome {
    let connection = started(&target).await?;
    let answer: Value = connection.invoke("AskCaller", ("Question", 21)).await.map_err(text)?;
    equal(answer, json!({ "ok": false, "error": "Client didn't provide a result." }))
}

/// The server drops clients after 5 s of silence.
async fn keep_alive(target: Target) -> Outcome {
    let connection = started(&target).await?;
    tokio::time::sleep(Duration::from_secs(7)).await;
    equal(connection.state(), ConnectionState::Connected)?;
    equal(connection.invoke::<i64>("Add", (1, 1)).await.map_err(text)?, 2)
}

async fn seen_leaving(target: &Target, id: &str) -> Outcome {
    let witness = started(target).await?;
    loop {
        let seen: Value = witness.invoke("Disconnected", (id,)).await.map_err(text)?;
        if seen["seen"] == json!(true) {
            return equal(seen["error"].clone(), Value::Null);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn stop(target: Target) -> Outcome {
    let connection = started(&target).await?;
    let id = connection.connection_id().unwrap_or_default();
    connection.stop().await;
    equal(connection.state(), ConnectionState::Disconnected)?;
    equal(connection.connection_id(), None)?;
    match connection.invoke::<Value>("Add", (1, 1)).await {
        Err(error) => equal(error.kind(), ErrorKind::Misuse)?,
        Ok(value) => return Err(format!("a call after stop gave {value}")),
    }
    seen_leaving(&target, &id).await
}

async fn start_again(target: Target) -> Outcome {
    let connection = started(&target).await?;
    let first = connection.connection_id();
    connection.stop().await;
    connection.start().await.map_err(text)?;
    if connection.connection_id() == first {
        return Err("the connection id is the same".into());
    }
    equal(connection.invoke::<i64>("Add", (1, 1)).await.map_err(text)?, 2)
}

async fn closed_by_server(target: &Target, arguments: Value) -> Result<Cause, String> {
    let connection = started(target).await?;
    let (sender, mut receiver) = mpsc::unbounded_channel();
    connection.on_state_change(move |change| {
        if change.to == ConnectionState::Disconnected {
            let _ = sender.send(change.cause.clone());
        }
    });
    let call = connection.invoke::<Value>("CloseMe", arguments).await;
    match call {
        Err(error) => equal(error.kind(), ErrorKind::OutcomeUnknown)?,
        Ok(value) => return Err(format!("CloseMe gave {value}")),
    }
    receiver.recv().await.ok_or_else(|| "no state change".to_owned())
}

async fn server_close(target: Target) -> Outcome {
    let cause = closed_by_server(&target, json!([false, ""])).await?;
    equal(cause, Cause::ServerClosed { allow_reconnect: false })?;
    let cause = closed_by_server(&target, json!([true, ""])).await?;
    equal(cause, Cause::ServerClosed { allow_reconnect: true })
}

async fn server_close_error(target: Target) -> Outcome {
    match closed_by_server(&target, json!([false, "go away"])).await? {
        Cause::Failed(error) => equal(
            (error.kind(), error.detail()),
            (ErrorKind::Refused, "Server returned an error on close: go away"),
        ),
        cause => Err(format!("{cause:?}")),
    }
}

async fn not_found(mut target: Target) -> Outcome {
    target.url.push_str("-of-nobody");
    match started(&target).await {
        Err(error) if error.contains("404") => Ok(()),
        Err(error) => Err(format!("the error does not tell the status: {error}")),
        Ok(_) => Err("connected".into()),
    }
}

async fn nobody_listens(mut target: Target) -> Outcome {
    target.url = "http://127.0.0.1:1/hubs/interop".into();
    match builder(&target).build().map_err(text)?.start().await {
        Err(error) => equal(error.kind(), ErrorKind::Network),
        Ok(()) => Err("connected".into()),
    }
}

async fn skip_negotiation(target: Target) -> Outcome {
    let connection = builder(&target).skip_negotiation(true).build().map_err(text)?;
    connection.start().await.map_err(text)?;
    equal(connection.connection_id(), None)?;
    equal(connection.invoke::<i64>("Add", (1, 1)).await.map_err(text)?, 2)
}
