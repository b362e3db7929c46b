// A server in a worker thread that sends numbered messages as fast as the socket takes them, once it is told `Begin`.
import { parentPort, workerData } from "node:worker_threads";
import { encode } from "@msgpack/msgpack";
import { framed, messages, serve, text } from "./raw-server.mjs";

const { sent, messages: count, bytes, encoding } = workerData;
const filling = "x".repeat(bytes);
/** Bytes that may wait in this process. */
const ENOUGH = 1 << 20;

const message = (n) =>
  encoding === "json"
    ? text({ type: 1, target: "event", arguments: [n, filling] })
    : framed(Buffer.from(encode([1, {}, null, "event", [n, filling], []])));
const completion = (id) =>
  encoding === "json" ? text({ type: 3, invocationId: id }) : framed(Buffer.from(encode([3, {}, id, 2])));
const ping = encoding === "json" ? text({ type: 6 }) : framed(Buffer.from(encode([6])));

function send(client, n) {
  while (n < count && client.send(message(n)) < ENOUGH) n++;
  Atomics.store(sent, 0, n);
  if (n < count) setImmediate(() => pump(client, n));
}

/** Goes on when the socket has taken what waits. */
function pump(client, n) {
  if (client.socket.bufferedAmount < ENOUGH) send(client, n + 1);
  else setTimeout(() => pump(client, n), 1);
}

const server = await serve((client, data) => {
  for (const one of data ? messages(encoding, data) : []) {
    const id = encoding === "json" ? one.invocationId : one[2];
    client.send(completion(id));
    client.send(ping);
    send(client, 0);
  }
});
parentPort.postMessage(server.url);
