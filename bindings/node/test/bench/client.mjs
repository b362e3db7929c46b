// One way of receiving, or sending, in a process of its own; prints what it cost. `client.mjs WAY CASE URL`
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { CASES, TARGET } from "./frames.mjs";

const require = createRequire(import.meta.url);
const [, , way, name, url] = process.argv;
/** What is sent where sending is measured. */
export const SENDS = 100_000;

/** Nanoseconds that the main thread has run; its id is that of the process. */
const mainThread = () => Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, "utf8").split(" ")[0]);
const whole = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) * 1_000;
};

const { messages, encoding } = CASES[name];
const isSending = way.startsWith("send:");
const library = way.replace("send:", "");
const measured = await ({ bare, "@microsoft/signalr": byLibrary, "@hubwire/node": byLibrary })[library]();
console.log(JSON.stringify(measured));
process.exit(0);

/** Half of the messages are for warming up. */
function meter(count, after) {
  let [seen, from] = [0, undefined];
  return () => {
    seen += 1;
    if (seen === count / 2) from = [mainThread(), whole(), performance.now()];
    if (seen === count) {
      const half = count / 2;
      const to = [mainThread(), whole(), performance.now()];
      const [main, all, time] = to.map((value, index) => (value - from[index]) / half);
      after({ main, all, perSecond: 1_000 / time });
    }
  };
}

/** Parsing what came, with `ws`. */
function bare() {
  const { WebSocket } = require("ws");
  const { decode } = require("@msgpack/msgpack");
  const socket = new WebSocket(`${url.replace("http", "ws")}?case=${encodeURIComponent(name)}`, { perMessageDeflate: false });
  return new Promise((resolve) => {
    let check = 0;
    const count = meter(messages, resolve);
    socket.on("open", () => {
      socket.send('{"protocol":"json","version":1}\x1e');
      socket.once("message", () => {
        socket.on("message", (data) => {
          if (encoding === "messagepack") {
            check += decode(data.subarray(data[0] < 128 ? 1 : 2))[4][0].text.length;
            count();
            return;
          }
          const text = data.toString();
          for (let from = 0, to; (to = text.indexOf("\x1e", from)) >= 0; from = to + 1) {
            check += JSON.parse(text.slice(from, to)).arguments[0].text.length;
            count();
          }
        });
        socket.send(encoding === "messagepack" ? Buffer.from([0]) : '{"type":1,"target":"Go","arguments":[1]}\x1e');
      });
    });
  });
}

async function byLibrary() {
  const isOurs = library === "@hubwire/node";
  const signalr = require(isOurs ? "../../dist/index.cjs" : "@microsoft/signalr");
  let builder = new signalr.HubConnectionBuilder()
    .withUrl(`${url}?case=${encodeURIComponent(name)}`, { skipNegotiation: true, transport: 1 })
    .configureLogging(signalr.LogLevel.None);
  if (encoding === "messagepack") {
    const { MessagePackHubProtocol } = require(isOurs ? "../../dist/msgpack.cjs" : "@microsoft/signalr-protocol-msgpack");
    builder = builder.withHubProtocol(new MessagePackHubProtocol());
  }
  const connection = builder.build();
  if (isSending) return sending(connection);
  const done = new Promise((resolve) => {
    let check = 0;
    const count = meter(messages, resolve);
    connection.on(TARGET, (value) => {
      check += value.text.length;
      count();
    });
  });
  await connection.start();
  await connection.send("Go", 1);
  return done;
}

/** Sends as an application does that has much to send: some at a time. The server says when it has all. */
async function sending(connection) {
  const argument = { id: 1, user: "user-1", ok: true, text: "x".repeat(40) };
  const all = new Promise((resolve) => connection.on(TARGET, resolve));
  await connection.start();
  const from = [mainThread(), whole(), performance.now()];
  await connection.send("Sink", SENDS);
  for (let sent = 0; sent < SENDS; sent += 50) {
    await Promise.all(Array.from({ length: 50 }, () => connection.send("Take", argument)));
  }
  await all;
  const to = [mainThread(), whole(), performance.now()];
  const [main, cpu, time] = to.map((value, index) => (value - from[index]) / SENDS);
  return { main, all: cpu, perSecond: 1_000 / time };
}
