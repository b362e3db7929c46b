// A server that says what a test wants it to say, byte by byte, over every transport. It answers negotiation and handshakes by itself.
import { once } from "node:events";
import { createServer } from "node:http";
import { Decoder, encode } from "@msgpack/msgpack";
import { WebSocketServer } from "ws";

const TRANSPORTS = ["WebSockets", "ServerSentEvents", "LongPolling"].map((transport) => ({
  transport,
  transferFormats: transport === "ServerSentEvents" ? ["Text"] : ["Text", "Binary"],
}));
const END = "\u001e";

/** One client. `send` gives it bytes as they are, in one frame. */
class Client {
  /** What the client has sent after the handshake, as Buffers. */
  received = [];
  protocol;
  #transmit;
  #onMessage;

  constructor(transmit, onMessage) {
    this.#transmit = transmit;
    this.#onMessage = onMessage;
  }

  send(frame) {
    return this.#transmit(typeof frame === "string" ? Buffer.from(frame) : frame);
  }

  take(data) {
    if (!this.protocol) {
      const end = data.indexOf(END);
      this.protocol = JSON.parse(data.subarray(0, end).toString()).protocol;
      this.send(`{}${END}`);
      this.#onMessage?.(this, undefined);
      data = data.subarray(end + 1);
    }
    if (data.length > 0) {
      this.received.push(data);
      this.#onMessage?.(this, data);
    }
  }
}

/**
 * Starts it. `onMessage(client, data)` is called with what comes, and first, when the handshake is done, without data. Every request is
 * in `requests`: `{ kind, headers, query }`; `kind` is `negotiate`, `send`, `delete` or the name of a transport.
 */
export async function serve(onMessage, { negotiate = {} } = {}) {
  const requests = [];
  const clients = new Map();
  let last = 0;
  const note = (kind, request) => requests.push({ kind, headers: request.headers, query: new URL(request.url, "http://host").searchParams });

  const server = createServer(async (request, response) => {
    const { pathname, searchParams } = new URL(request.url, "http://host");
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    if (pathname.endsWith("/negotiate")) {
      note("negotiate", request);
      const id = `raw-${++last}`;
      const answer = { negotiateVersion: 1, connectionId: id, connectionToken: id, availableTransports: TRANSPORTS, ...negotiate };
      response.setHeader("content-type", "application/json").end(JSON.stringify(answer));
      return;
    }
    const id = searchParams.get("id");
    if (request.method === "POST") {
      note("send", request);
      clients.get(id)?.take(Buffer.concat(chunks));
      response.end();
    } else if (request.method === "DELETE") {
      note("delete", request);
      clients.get(id)?.poll?.end();
      response.end();
    } else if (request.headers.accept?.includes("text/event-stream")) {
      note("ServerSentEvents", request);
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(":\n\n");
      clients.set(id, new Client((bytes) => response.write(Buffer.concat([Buffer.from("data: "), bytes, Buffer.from("\n\n")])), onMessage));
    } else {
      note("LongPolling", request);
      poll(id, response);
    }
  });

  function poll(id, response) {
    const client = clients.get(id);
    if (!client) {
      const waiting = [];
      const opened = new Client((bytes) => {
        waiting.push(bytes);
        opened.flush();
      }, onMessage);
      opened.flush = () => {
        if (!opened.poll || waiting.length === 0) return;
        opened.poll.end(Buffer.concat(waiting.splice(0)));
        opened.poll = undefined;
      };
      clients.set(id, opened);
      response.end();
      return;
    }
    client.poll = response;
    client.flush();
  }

  const sockets = new WebSocketServer({ server, perMessageDeflate: false });
  sockets.on("connection", (socket, request) => {
    note("WebSockets", request);
    const client = new Client((bytes) => {
      socket.send(bytes, { binary: client.protocol === "messagepack" });
      return socket.bufferedAmount;
    }, onMessage);
    client.socket = socket;
    socket.on("message", (data) => client.take(data));
    socket.on("error", () => {});
  });

  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${server.address().port}/hub`,
    requests,
    async stop() {
      for (const socket of sockets.clients) socket.terminate();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A message in JSON. */
export const text = (message) => JSON.stringify(message) + END;

/** An invocation in MessagePack, framed, with these bytes as its only argument. */
export function invocation(target, argument, id = null) {
  const message = Buffer.concat([
    Buffer.from([0x96, 1, 0x80]),
    encode(id),
    encode(target),
    Buffer.from([0x91]),
    Buffer.from(argument),
    Buffer.from([0x90]),
  ]);
  return framed(message);
}

/** A message in MessagePack, framed. */
export function framed(message) {
  const length = [];
  for (let rest = message.length; ; ) {
    const seven = rest & 0x7f;
    rest >>= 7;
    length.push(rest > 0 ? seven | 0x80 : seven);
    if (rest === 0) return Buffer.concat([Buffer.from(length), message]);
  }
}

const decoder = new Decoder();

/** What a client has sent in one frame, decoded. Pings are left out. */
export function messages(protocol, data) {
  if (protocol === "json") {
    const parts = data.toString().split(END).filter(Boolean);
    return parts.map((part) => JSON.parse(part)).filter(({ type }) => type !== 6);
  }
  const found = [];
  for (let at = 0; at < data.length; ) {
    let [length, shift, byte] = [0, 0, 0x80];
    for (; byte & 0x80; shift += 7) {
      byte = data[at++];
      length |= (byte & 0x7f) << shift;
    }
    found.push(decoder.decode(data.subarray(at, at + length)));
    at += length;
  }
  return found.filter(([type]) => type !== 6);
}
