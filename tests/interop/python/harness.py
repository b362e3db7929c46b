"""Connections of a scenario, which end with it, and checks that explain themselves."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
import uuid

from pysignalr.client import SignalRClient
from pysignalr.messages import CompletionMessage
from pysignalr.protocol.json import JSONProtocol
from pysignalr.protocol.messagepack import MessagepackProtocol

# Of the interop servers only, which take tokens signed with it (HUB.md).
KEY = b"interop-tests-only-0123456789abcdef"
PATIENCE = 10


class Refused(Exception):
    """The hub answered with an error."""


class Hub:
    """A running client, with calls that can be awaited: the library takes a callback for each."""

    def __init__(self, url, protocol, headers=None):
        self.client = SignalRClient(
            url,
            protocol={"json": JSONProtocol, "messagepack": MessagepackProtocol}[protocol](),
            headers=headers,
            # The hub's contract has short timers (HUB.md), so the client must ping more often than by default.
            signalr_ping_interval=1,
            retry_count=1,
        )
        self._open = asyncio.Event()
        self.closed = asyncio.Event()
        self.client.on_open(self._opened)
        self.client.on_close(self._closed)
        # Without one, an error of one call ends the connection. The call's own callback gets the error, too.
        self.client.on_error(self._ignore)
        self.task = asyncio.create_task(self.client.run())

    async def _opened(self):
        self._open.set()

    async def _closed(self):
        self.closed.set()

    async def _ignore(self, _):
        pass

    async def started(self):
        """Waits for the connection; raises what the client raises."""
        opening = asyncio.create_task(self._open.wait())
        await asyncio.wait([opening, self.task], timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        opening.cancel()
        if self.task.done():
            self.task.result()
        if not self._open.is_set():
            raise AssertionError(f"not connected within {PATIENCE} s")
        return self

    async def stop(self):
        self.task.cancel()
        await asyncio.wait([self.task], timeout=2)
        # The client has no stop, and leaves its socket to the garbage collector.
        if self.client._transport._ws is not None:
            await asyncio.wait_for(self.client._transport._ws.close(), 2)

    async def send(self, method, *arguments):
        await self.client.send(method, list(arguments))

    async def begin(self, method, *arguments):
        """Sends a call and returns the future of its result."""
        answer = asyncio.get_running_loop().create_future()

        async def completed(message: CompletionMessage):
            if message.error:
                answer.set_exception(Refused(message.error))
            else:
                answer.set_result(message.result)

        await self.client.send(method, list(arguments), completed)
        return answer

    async def invoke(self, method, *arguments):
        return await asyncio.wait_for(await self.begin(method, *arguments), PATIENCE)

    async def begin_stream(self, method, *arguments):
        """Starts a stream and returns the future of its items and its error."""
        done = asyncio.get_running_loop().create_future()
        items = []

        async def item(value):
            items.append(value)

        async def complete(_):
            done.set_result((items, None))

        async def failed(message):
            done.set_result((items, message.error))

        await self.client.stream(method, list(arguments), item, complete, failed)
        return done

    async def drain(self, method, *arguments):
        return await asyncio.wait_for(await self.begin_stream(method, *arguments), PATIENCE)

    def calls(self, name):
        """Collects the calls of a client method."""
        seen = []

        async def called(arguments):
            seen.append(arguments[0] if len(arguments) == 1 else arguments)

        self.client.on(name, called)
        return seen


class Run:
    """One run of one scenario."""

    def __init__(self, url, protocol):
        self.url = url
        self.protocol = protocol
        # Unique, because all scenarios share one hub.
        self.tag = f"python-{uuid.uuid4()}"
        self._open = []

    async def connect(self, user=None):
        headers = {"Authorization": f"Bearer {token_for(user)}"} if user else None
        return await self.prepare(self.url, headers).started()

    def prepare(self, url, headers=None):
        hub = Hub(url, self.protocol, headers)
        self._open.append(hub)
        return hub

    async def close(self):
        await asyncio.gather(*(hub.stop() for hub in self._open), return_exceptions=True)

    async def alive(self, hub):
        equal(await hub.invoke("Echo", "alive"), "alive", "the connection afterwards")


def equal(got, want, what):
    # By JSON, because True is 1 in Python. What JSON does not have is compared as it is.
    try:
        same = json.dumps(got, sort_keys=True) == json.dumps(want, sort_keys=True)
    except TypeError:
        same = type(got) is type(want) and got == want
    if not same:
        raise AssertionError(f"{what}: got {got!r:.200}, want {want!r:.200}")


def ok(condition, what):
    if not condition:
        raise AssertionError(what)


async def rejects(call, text=None):
    """The call must be refused; with `text`, with exactly this."""
    try:
        value = await call
    except Refused as error:
        if text is not None:
            equal(str(error), text, "error text")
        return
    raise AssertionError(f"expected an error, got {value!r:.200}")


async def until(question, what, limit=8):
    end = time.monotonic() + limit
    while True:
        answer = question()
        if asyncio.iscoroutine(answer):
            answer = await answer
        if answer:
            return
        if time.monotonic() > end:
            raise AssertionError(f"not within {limit} s: {what}")
        await asyncio.sleep(0.025)


def token_for(user):
    """Valid for ten minutes."""

    def part(value):
        return base64.urlsafe_b64encode(value).rstrip(b"=")

    now = int(time.time())
    claims = {"sub": user, "nbf": now - 60, "iat": now, "exp": now + 600}
    body = b".".join(part(json.dumps(value).encode()) for value in ({"alg": "HS256", "typ": "JWT"}, claims))
    return (body + b"." + part(hmac.new(KEY, body, hashlib.sha256).digest())).decode()
