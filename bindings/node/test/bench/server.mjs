// A server in a process of its own: accepts the handshake, sends messages when it is asked for them, and takes what comes.
// It is the same for all clients; what it costs is not measured.
import { createRequire } from "node:module";
import { createServer } from "node:http";
import { CASES, jsonFrames, messagePackFrames } from "./frames.mjs";

const require = createRequire(import.meta.url);
const { WebSocketServer } = require("ws");
const { MessagePackHubProtocol } = require("@microsoft/signalr-protocol-msgpack");

/** Of all cases, made once. */
const frames = Object.fromEntries(
  Object.entries(CASES).map(([name, { encoding, size, perFrame }]) => {
    const made = encoding === "json" ? jsonFrames(size, perFrame) : messagePackFrames(size, new MessagePackHubProtocol());
    // Text is sent as bytes that are there already.
    return [name, made.frames.map((frame) => Buffer.from(frame))];
  }),
);

const http = createServer();
const server = new WebSocketServer({ server: http, perMessageDeflate: false });
server.on("connection", (socket, request) => {
  const name = new URL(request.url, "http://localhost").searchParams.get("case");
  let received = 0;
  let expected = 0;
  socket.once("message", () => {
    socket.send("{}\x1e");
    socket.on("message", (data, isBinary) => {
      const text = isBinary ? "" : data.toString();
      const wants = /"target":"(\w+)","arguments":\[(\d+)\]/.exec(text);
      if (isBinary ? received === 0 && expected === 0 : wants?.[1] === "Go") {
        push(socket, name);
        expected = -1;
      } else if (wants?.[1] === "Sink") {
        // Others may be in the same frame, behind it.
        [received, expected] = [text.slice(wants.index).split("\x1e").length - 2, Number(wants[2])];
      } else if (expected > 0) {
        received += text.split("\x1e").length - 1;
        if (received >= expected) socket.send('{"type":1,"target":"Measured","arguments":["done"]}\x1e');
      }
    });
  });
});
http.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${http.address().port}/`));
process.stdin.resume().on("end", () => process.exit(0));

async function push(socket, name) {
  const { messages, perFrame, pace, encoding } = CASES[name];
  const binary = encoding === "messagepack";
  const started = performance.now();
  const all = frames[name];
  for (let sent = 0; sent < messages / perFrame; sent += 1) {
    if (pace) while ((performance.now() - started) * pace < sent * 1_000) await new Promise((resolve) => setImmediate(resolve));
    const written = new Promise((resolve) => socket.send(all[sent % all.length], { binary }, resolve));
    // No more than the socket takes: what waits would only cost memory.
    if (sent % 500 === 499) await written;
  }
}
