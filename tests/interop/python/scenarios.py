"""What is tried. Names are those of the TypeScript suite where both do the same."""

import asyncio

from msgpack import Timestamp
from pysignalr.exceptions import ConnectionError, ServerError

from harness import Refused, equal, ok, rejects, until

ALL = []


def scenario(name, *needs, protocols=("json", "messagepack")):
    def add(run):
        ALL.append((name, needs, protocols, run))
        return run

    return add


# Values and calls

VALUES = {
    "string": "hello",
    "empty-string": "",
    "non-ascii": "Grüße, Żółć, привет, 日本語",
    "emoji": "😀 👩‍👩‍👧 🇹🇷",
    "control-characters": 'a\0b\x1ec\n"\\\u2028',
    "integer": 42,
    "negative-integer": -2147483649,
    "large-integer": 9007199254740991,
    "float": 3.141592653589793,
    "true": True,
    "false": False,
    "array": [1, "two", [3.5], []],
    "nested": {"a": {"b": [{"c": None}, {"d": "e"}]}, "f": {}, "g": True},
    "20-kb": "x" * 20 * 1024,
}


def echo(name, value, *needs, protocols=("json", "messagepack")):
    @scenario(f"echo-{name}", *needs, protocols=protocols)
    async def run(t):
        hub = await t.connect()
        equal(await hub.invoke("Echo", value), value, "value")


@scenario("connect")
async def connect(t):
    hub, other = await asyncio.gather(t.connect(), t.connect())
    own = await hub.invoke("ConnectionId")
    ok(isinstance(own, str) and own, f"the connection id is {own!r}")
    ok(await other.invoke("ConnectionId") != own, "two connections have one id")


for value_name, example in VALUES.items():
    echo(value_name, example)
echo("null", None, "null-results")
echo("date", Timestamp(1754000000, 123000000), protocols=("messagepack",))
echo("date-before-1970", Timestamp(-86401, 999000000), protocols=("messagepack",))
echo("binary", bytes(n % 256 for n in range(1000)), protocols=("messagepack",))
echo("binary-empty", b"", protocols=("messagepack",))


@scenario("void")
async def void(t):
    hub = await t.connect()
    equal(await hub.invoke("Void", "anything"), None, "result of a method without one")


@scenario("typed-arguments")
async def typed(t):
    hub = await t.connect()
    equal(await hub.invoke("Add", 19, 23), 42, "sum")
    equal(await hub.invoke("Add", -5, 3), -2, "sum")


@scenario("method-names-ignore-case")
async def names(t):
    hub = await t.connect()
    equal(await hub.invoke("eCHO", "x"), "x", "value")


@scenario("concurrent-200")
async def concurrent(t):
    hub = await t.connect()
    values = [{"n": n, "text": f"call {n}"} for n in range(200)]
    answers = await asyncio.gather(*(hub.invoke("Echo", value) for value in values))
    equal(answers, values, "answers")


@scenario("concurrent-connections")
async def connections(t):
    hubs = await asyncio.gather(*(t.connect() for _ in range(20)))
    answers = await asyncio.gather(*(hub.invoke("Echo", n) for n, hub in enumerate(hubs)))
    equal(answers, list(range(20)), "answers")


@scenario("send-is-never-answered", "silent-send")
async def never_answered(t):
    hub = await t.connect()
    answers = []

    async def error(message):
        answers.append(message)

    hub.client.on_error(error)
    await hub.send("Void", "x")
    await hub.send("Throw", "x")
    await hub.send("NoSuchMethod")
    await hub.send("Add", "not a number", 1)
    await t.alive(hub)
    equal(answers, [], "errors that came")


@scenario("send-runs-the-method")
async def send(t):
    hub = await t.connect()
    calls = hub.calls("Pushed")
    await hub.send("ToCaller", "Pushed", 5)
    await until(lambda: calls, "the call")
    equal(calls, [5], "calls")


# Errors


async def streamed(hub, *call):
    _, error = await hub.drain(*call)
    if error is not None:
        raise Refused(error)


FAILING = {
    "hub-error": lambda hub: hub.invoke("ThrowHub", 'my "own" text'),
    "plain-error": lambda hub: hub.invoke("Throw", "a secret"),
    "unknown-method": lambda hub: hub.invoke("NoSuchMethod", 1),
    "unknown-method-case": lambda hub: hub.invoke("noSuchMETHOD"),
    "unknown-stream": lambda hub: streamed(hub, "NoSuchStream"),
    "too-few-arguments": lambda hub: hub.invoke("Add", 1),
    "too-many-arguments": lambda hub: hub.invoke("Add", 1, 2, 3),
    "wrong-type": lambda hub: hub.invoke("Add", "one", 2),
    "stream-as-invocation": lambda hub: hub.invoke("Count", 3, 0),
    "invocation-as-stream": lambda hub: streamed(hub, "Add", 1, 2),
}


def fails(name, *needs):
    @scenario(f"fails-{name}", *needs)
    async def run(t):
        hub = await t.connect()
        await rejects(FAILING[name](hub))
        await t.alive(hub)


def error(name, text):
    @scenario(f"error-{name}", "error-texts")
    async def run(t):
        hub = await t.connect()
        await rejects(FAILING[name](hub), text)
        await t.alive(hub)


fails("hub-error")
fails("plain-error")
fails("unknown-method")
fails("too-few-arguments")
fails("too-many-arguments")
fails("wrong-type")
fails("stream-as-invocation", "strict-streams")
fails("invocation-as-stream", "strict-streams")
error("hub-error", "An unexpected error occurred invoking 'ThrowHub' on the server. HubException: my \"own\" text")
error("plain-error", "An unexpected error occurred invoking 'Throw' on the server.")
error("unknown-method", "Unknown hub method 'NoSuchMethod'")
error("unknown-method-case", "Unknown hub method 'noSuchMETHOD'")
error("unknown-stream", "Unknown hub method 'NoSuchStream'")
error("too-few-arguments", "Failed to invoke 'Add' due to an error on the server.")
error("too-many-arguments", "Failed to invoke 'Add' due to an error on the server.")
error("wrong-type", "Failed to invoke 'Add' due to an error on the server.")
error(
    "stream-as-invocation",
    "The client attempted to invoke the streaming 'Count' method with a non-streaming invocation.",
)
error(
    "invocation-as-stream",
    "The client attempted to invoke the non-streaming 'Add' method with a streaming invocation.",
)


# The server calls clients


async def identity(hub):
    return await hub.invoke("ConnectionId")


def push(name, value, want, *needs, users=(None, None, None)):
    """`send` is the decorated function; `want` says how many calls each of three connections gets."""

    def add(send):
        @scenario(f"push-{name}", *needs)
        async def run(t):
            event = f"E-{t.tag}"
            hubs = [await t.connect(user and f"{user}-{t.tag}") for user in users]
            calls = [hub.calls(event) for hub in hubs]
            await send(t, hubs, event)
            for seen, count in zip(calls, want):
                await until(lambda seen=seen, count=count: len(seen) >= count, "a call")
            # A message that should not be there would arrive with the answers to these.
            for hub in hubs:
                await t.alive(hub)
            await asyncio.sleep(0.1)
            equal(calls, [[value] * count for count in want], "calls by connection")

    return add


@push("caller", {"n": 1}, [1, 0, 0])
async def to_caller(t, hubs, event):
    await hubs[0].invoke("ToCaller", event, {"n": 1})


@push("others", "x", [0, 1, 1])
async def to_others(t, hubs, event):
    await hubs[0].invoke("ToOthers", event, "x")


@push("all", [1, "ü"], [1, 1, 1])
async def to_all(t, hubs, event):
    await hubs[0].invoke("ToAll", event, [1, "ü"])


@push("connection", "x", [0, 1, 0])
async def to_connection(t, hubs, event):
    await hubs[0].invoke("ToConnection", await identity(hubs[1]), event, "x")


@push("unknown-connection", "x", [0, 0, 0])
async def to_unknown_connection(t, hubs, event):
    await hubs[0].invoke("ToConnection", "nobody", event, "x")


@push("all-except", "x", [1, 0, 1])
async def to_all_except(t, hubs, event):
    await hubs[0].invoke("ToAllExcept", [await identity(hubs[1])], event, "x")


@push("group", 1, [0, 1, 1])
async def to_group(t, hubs, event):
    await hubs[1].invoke("Join", t.tag)
    await hubs[2].invoke("Join", t.tag)
    await hubs[0].invoke("ToGroup", t.tag, event, 1)


@push("leave-group", 1, [0, 0, 1])
async def leave_group(t, hubs, event):
    await hubs[1].invoke("Join", t.tag)
    await hubs[2].invoke("Join", t.tag)
    await hubs[1].invoke("Leave", t.tag)
    await hubs[0].invoke("ToGroup", t.tag, event, 1)


@push("others-in-group", 1, [0, 1, 0])
async def to_others_in_group(t, hubs, event):
    await hubs[0].invoke("Join", t.tag)
    await hubs[1].invoke("Join", t.tag)
    await hubs[0].invoke("ToOthersInGroup", t.tag, event, 1)


@push("group-except", 1, [1, 1, 0])
async def to_group_except(t, hubs, event):
    for hub in hubs:
        await hub.invoke("Join", t.tag)
    await hubs[0].invoke("ToGroupExcept", t.tag, [await identity(hubs[2])], event, 1)


@push("user", 1, [1, 1, 0], "users", users=("alice", "alice", "bob"))
async def to_user(t, hubs, event):
    await hubs[0].invoke("ToUser", f"alice-{t.tag}", event, 1)


@scenario("user-id", "users")
async def user_id(t):
    hub, nobody = await asyncio.gather(t.connect("Grüße"), t.connect())
    equal(await hub.invoke("UserId"), "Grüße", "user id")
    equal(await nobody.invoke("UserId"), None, "user without a token")


@scenario("push-several-arguments")
async def several_arguments(t):
    hub = await t.connect()
    calls = hub.calls("Three")
    await hub.invoke("ToCallerThree", "Three", "a", 2, {"three": None})
    await until(lambda: calls, "the call")
    equal(calls, [["a", 2, {"three": None}]], "arguments")


@scenario("push-1000-in-order")
async def in_order(t):
    hub = await t.connect()
    calls = hub.calls("Number")
    equal(await hub.invoke("PushMany", "Number", 1000), 1000, "result")
    await until(lambda: len(calls) >= 1000, "1000 calls")
    equal(calls, list(range(1000)), "numbers")


@scenario("push-handler-names-ignore-case", "handler-names")
async def handler_names(t):
    hub = await t.connect()
    calls = hub.calls("mixedCase")
    await hub.invoke("ToCaller", "MixedCASE", 1)
    await until(lambda: calls, "the call")


@scenario("push-without-handler")
async def without_handler(t):
    hub = await t.connect()
    await hub.invoke("ToCaller", "NobodyListens", 1)
    await t.alive(hub)


# Streams


def counted(name, count):
    @scenario(name)
    async def run(t):
        hub = await t.connect()
        equal(await hub.drain("Count", count, 0), (list(range(count)), None), "stream")


counted("stream-complete", 5)
counted("stream-empty", 0)
counted("stream-1000", 1000)


@scenario("stream-three-at-once")
async def three_streams(t):
    hub = await t.connect()
    streams = await asyncio.gather(*(hub.drain("Count", n, 5) for n in (3, 6, 9)))
    equal(streams, [(list(range(n)), None) for n in (3, 6, 9)], "streams")


@scenario("stream-and-invoke")
async def stream_and_invoke(t):
    hub = await t.connect()
    stream = await hub.begin_stream("Count", 20, 20)
    await t.alive(hub)
    equal(await asyncio.wait_for(stream, 10), (list(range(20)), None), "stream")


@scenario("stream-fails-midway", "stream-errors")
async def stream_fails(t):
    hub = await t.connect()
    text = "An error occurred on the server while streaming results. HubException: no more"
    equal(await hub.drain("CountThenFail", 3, "no more"), ([0, 1, 2], text), "stream")


@scenario("upload-never-answered")
async def upload(t):
    hub = await t.connect()
    async with hub.client.client_stream("Sum") as stream:
        for item in (1, 2, 3):
            await stream.send(item)
    await t.alive(hub)


for missing in ("upload", "upload-with-argument", "upload-without-answer", "upload-fails", "both-ways", "stream-cancel"):
    # There is nothing to write down: the library has no call for it.
    ALL.append((missing, (missing,), ("json", "messagepack"), None))


# Client results


def asked(name, prepare, want, *needs):
    @scenario(f"client-result-{name}", "client-results", *needs)
    async def run(t):
        hub = await t.connect()
        prepare(hub)
        equal(await hub.invoke("AskCaller", "Question", 21), want, "answer")
        await t.alive(hub)


def answer(function):
    async def called(arguments):
        return function(*arguments)

    return lambda hub: hub.client.on("Question", called)


def answer_awaiting(hub):
    async def called(arguments):
        return await hub.invoke("Echo", arguments[0])

    hub.client.on("Question", called)


def fail(_):
    raise ValueError("from callback")


asked("value", answer(lambda n: n * 2), {"ok": True, "value": 42})
asked("object", answer(lambda n: {"got": n}), {"ok": True, "value": {"got": 21}})
asked("null", answer(lambda n: None), {"ok": True, "value": None}, "null-answers")
asked("async", answer_awaiting, {"ok": True, "value": 21}, "await-in-handlers")
asked("error", answer(fail), {"ok": False, "error": "from callback"})
asked("no-handler", lambda hub: None, {"ok": False, "error": "Client didn't provide a result."})


@scenario("client-result-unknown-connection", "client-results")
async def unknown_connection(t):
    hub = await t.connect()
    want = {"ok": False, "error": "Connection 'nobody' does not exist."}
    equal(await hub.invoke("AskConnection", "nobody", "Question", 1), want, "answer")


@scenario("client-result-other-connection", "client-results")
async def other_connection(t):
    asker, answerer = await asyncio.gather(t.connect(), t.connect())
    answer(lambda n: n + 1)(answerer)
    got = await asker.invoke("AskConnection", await identity(answerer), "Question", 41)
    equal(got, {"ok": True, "value": 42}, "answer")


# Lifetime


@scenario("keep-alive", "messagepack-pings")
async def keep_alive(t):
    hub = await t.connect()
    # Longer than the server waits for a client (5 s).
    await asyncio.sleep(7)
    ok(not hub.closed.is_set() and not hub.task.done(), "the connection was closed while idle")
    await t.alive(hub)


@scenario("stop", "stop")
async def stop(t):
    raise AssertionError("there is no call for it")


@scenario("lost-connection-is-seen")
async def lost(t):
    hub, witness = await asyncio.gather(t.connect(), t.connect())
    own = await identity(hub)
    hub.client._transport._ws.transport.abort()

    async def seen():
        return (await witness.invoke("Disconnected", own))["seen"]

    await until(seen, "the hub sees the disconnect")


@scenario("server-close", "messagepack-close", "transport-close")
async def server_close(t):
    hub = await t.connect()
    await hub.send("CloseMe", False, "")
    await asyncio.wait_for(hub.closed.wait(), 10)


@scenario("server-close-with-error", "messagepack-close")
async def server_close_with_error(t):
    hub = await t.connect()
    await hub.send("CloseMe", False, "maintenance")
    await asyncio.wait([hub.task], timeout=10)
    ok(hub.task.done(), "the client did not end")
    equal(repr(hub.task.exception()), repr(ServerError("maintenance")), "how the client ended")


@scenario("server-close-allow-reconnect", "messagepack-close", "reconnect")
async def server_close_allow_reconnect(t):
    hub = await t.connect()
    first = await identity(hub)
    await hub.send("CloseMe", True, "")
    await asyncio.wait_for(hub.closed.wait(), 10)
    ok(await identity(hub) != first, "the connection id is the same")


@scenario("too-large-a-message")
async def too_large(t):
    hub, other = await asyncio.gather(t.connect(), t.connect())
    await hub.begin("Echo", "x" * 40 * 1024)
    await until(lambda: hub.closed.is_set() or hub.task.done(), "the connection ends")
    await t.alive(other)


@scenario("unknown-hub")
async def unknown_hub(t):
    try:
        await t.prepare(t.url + "-of-nobody").started()
    except ConnectionError as failure:
        equal(failure.status, 404, "status")
        return
    raise AssertionError("connected")


@scenario("connection-refused")
async def refused(t):
    try:
        await t.prepare("http://127.0.0.1:1/hubs/interop").started()
    except OSError:
        return
    raise AssertionError("connected")
