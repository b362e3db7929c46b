// The ways of handling a received frame that are compared. Each ends by calling `sink` with the argument.
import * as official from "/official/signalr.js";
import { MessagePackHubProtocol as OfficialMessagePack } from "/official/signalr-msgpack.js";
import * as hubwire from "/dist/index.js";
import { MessagePackHubProtocol } from "/dist/msgpack.js";
import { decode } from "/official/msgpack.js";
import { TARGET } from "./frames.js";

const SEPARATOR = "\x1e";

/** A socket whose server accepts the handshake and says nothing more; `feed` is what it receives. */
class FakeSocket extends EventTarget {
  static CONNECTING = 0;
  static OPEN = 1;
  static CLOSING = 2;
  static CLOSED = 3;
  static newest;
  readyState = 0;
  bufferedAmount = 0;
  binaryType = "blob";
  protocol = "";
  extensions = "";
  onopen = null;
  onmessage = null;
  onclose = null;
  onerror = null;

  constructor(url) {
    super();
    this.url = url;
    FakeSocket.newest = this;
    queueMicrotask(() => {
      this.readyState = 1;
      this.#tell(new Event("open"));
    });
  }

  #tell(event) {
    this[`on${event.type}`]?.(event);
    this.dispatchEvent(event);
  }

  send(data) {
    const text = typeof data === "string" ? data : new TextDecoder().decode(data);
    if (!text.startsWith('{"protocol"')) return;
    const answer = `{}${SEPARATOR}`;
    queueMicrotask(() =>
      this.#tell(
        new MessageEvent("message", {
          data: typeof data === "string" ? answer : new TextEncoder().encode(answer).buffer,
        }),
      ),
    );
  }

  close(code = 1000, reason = "") {
    if (this.readyState >= 2) return;
    this.readyState = 3;
    queueMicrotask(() => this.#tell(new CloseEvent("close", { code, reason, wasClean: true })));
  }
}

/** The connection of a library, started on a fake socket, or on a real one when `url` is given. */
export async function connection(library, sink, { protocol, url } = {}) {
  const options = { skipNegotiation: true, transport: 1, ...(url ? {} : { WebSocket: FakeSocket }) };
  const builder = new library.HubConnectionBuilder()
    .withUrl(url ?? "http://127.0.0.1:1/fake", options)
    .configureLogging(library.LogLevel.None);
  const connection = (protocol ? builder.withHubProtocol(protocol) : builder).build();
  connection.on(TARGET, sink);
  await connection.start();
  return connection;
}

async function fake(library, sink, protocol) {
  const started = await connection(library, sink, { protocol });
  const socket = FakeSocket.newest;
  if (!socket.onmessage)
    throw new Error("the client does not listen by onmessage: the measurement would need another way in");
  return { feed: (event) => socket.onmessage(event), close: () => started.stop() };
}

const nothing = async () => {};

/** Ways by name: `start(sink)` gives `{ feed(event), close() }`. `bare`: frames are given without their end. */
export const ways = {
  json: {
    "JSON.parse": {
      bare: true,
      start: async (sink) => ({ feed: ({ data }) => sink(JSON.parse(data).arguments[0]), close: nothing }),
    },
    "@microsoft/signalr": { start: (sink) => fake(official, sink) },
    "@hubwire/web": { start: (sink) => fake(hubwire, sink) },
  },
  batches: {
    "JSON.parse": {
      start: async (sink) => ({
        feed: ({ data }) => {
          for (let from = 0, to; (to = data.indexOf(SEPARATOR, from)) >= 0; from = to + 1)
            sink(JSON.parse(data.slice(from, to)).arguments[0]);
        },
        close: nothing,
      }),
    },
    "@microsoft/signalr": { start: (sink) => fake(official, sink) },
    "@hubwire/web": { start: (sink) => fake(hubwire, sink) },
  },
  messagepack: {
    // The length before the message is of one byte, or of two.
    "decode of @msgpack/msgpack": {
      start: async (sink) => ({
        feed: ({ data }) => {
          const bytes = new Uint8Array(data);
          sink(decode(bytes.subarray(bytes[0] < 128 ? 1 : 2))[4][0]);
        },
        close: nothing,
      }),
    },
    "@microsoft/signalr": { start: (sink) => fake(official, sink, new OfficialMessagePack()) },
    "@hubwire/web": { start: (sink) => fake(hubwire, sink, new MessagePackHubProtocol()) },
  },
};

/** Real sockets: what the page does with 130 B frames that come from `url`; resolves when all have come. */
export const real = {
  "nothing (the browser alone)": (url, count) => raw(url, count, () => {}),
  "JSON.parse": (url, count) => raw(url, count, (data) => JSON.parse(data.slice(0, -1))),
  "@microsoft/signalr": (url, count) => byLibrary(official, url, count),
  "@hubwire/web": (url, count) => byLibrary(hubwire, url, count),
};

async function raw(url, count, handle) {
  const socket = new WebSocket(url.replace("http", "ws"));
  await new Promise((resolve) => (socket.onopen = resolve));
  return {
    run: () =>
      new Promise((resolve) => {
        let left = count;
        socket.onmessage = ({ data }) => {
          handle(data);
          left -= 1;
          if (left === 0) resolve();
        };
        socket.send("go");
      }),
    close: () => socket.close(),
  };
}

async function byLibrary(library, url, count) {
  let left = count;
  let done;
  const all = new Promise((resolve) => (done = resolve));
  const started = await connection(library, () => (left -= 1) === 0 && done(), { url });
  return { run: () => started.send("go").then(() => all), close: () => started.stop() };
}

export { OfficialMessagePack };
