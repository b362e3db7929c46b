// What it costs to receive a message, in Chromium: bare parsing, the official client and this one side by side.
// Fails only when it cannot measure: the machine may be busy, so the verdicts are for people.
import { createServer } from "node:http";
import { cpus } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { WebSocketServer } from "ws";
import { within } from "../lib/assert.mjs";
import { launch } from "../lib/chromium.mjs";
import { official } from "../lib/official.mjs";
import { serve } from "../lib/site.mjs";
import { jsonFrames } from "./frames.js";

const here = dirname(fileURLToPath(import.meta.url));
const OURS = "@hubwire/web";
const THEIRS = "@microsoft/signalr";
const REAL_MESSAGES = 20_000;
const REAL_ROUNDS = 3;

const site = await serve({
  "/test/": join(here, ".."),
  "/dist/": join(here, "../../dist"),
  "/official/": await official(),
});
const browser = await launch("--js-flags=--expose-gc");
const sockets = await pushServer();
try {
  console.log(`Chromium ${browser.version} on ${cpus()[0].model}, ${cpus().length} processors\n`);
  await fakeSockets();
  await realSockets();
} finally {
  sockets.close();
  await browser.close();
  await site.close();
}

async function open() {
  const page = await browser.context.newPage();
  await page.goto(`${site.origin}/test/bench/`);
  return page;
}

async function fakeSockets() {
  const page = await open();
  const call = (name, argument) =>
    page.evaluate(
      async ([name, argument]) => {
        const found = (await import("/test/bench/page.js"))[name];
        return typeof found === "function" ? found(argument) : found;
      },
      [name, argument],
    );
  const rows = [];
  for (const one of await call("CASES")) {
    const result = await within(one.name, call("measure", one), 300_000);
    rows.push(rowOf(one, result));
    console.log(`  ${one.name}: ${result.messages} messages of ${result.bytes} bytes, ${result.rounds} rounds`);
  }
  console.log("\nnanoseconds for one message, from the event of the socket to the handler (medians)\n");
  table(["", "bare", THEIRS, OURS, "to bare", "to theirs", "verdict"], rows);
  await page.close();
}

function rowOf({ name, kind }, { times }) {
  const [bareTime, theirs, ours] = [
    Object.entries(times).find(([way]) => way !== THEIRS && way !== OURS)[1],
    times[THEIRS],
    times[OURS],
  ];
  const budgets = {
    json: [
      [ours / bareTime, 1.25, "x bare"],
      [ours / theirs, 0.5, "x theirs"],
    ],
    batches: [[ours, 450, "ns"]],
    messagepack: [[ours / theirs, 0.5, "x theirs"]],
  };
  const word = (value, limit, unit) => {
    if (value <= limit) return "ok";
    return unit === "x theirs" && limit * theirs < bareTime ? "OVER, as is bare parsing" : "OVER";
  };
  const verdict = budgets[kind].map((budget) => `at most ${budget[1]} ${budget[2]}: ${word(...budget)}`).join("; ");
  return [
    name,
    ...[bareTime, theirs, ours].map((time) => time.toFixed(0)),
    (ours / bareTime).toFixed(2),
    (ours / theirs).toFixed(2),
    verdict,
  ];
}

async function realSockets() {
  const page = await open();
  const tools = await browser.context.newCDPSession(page);
  await tools.send("Performance.enable");
  const metrics = async () =>
    Object.fromEntries((await tools.send("Performance.getMetrics")).metrics.map(({ name, value }) => [name, value]));
  const names = await page.evaluate(async () => (await import("/test/bench/page.js")).realWays);
  const times = new Map(names.map((name) => [name, { TaskDuration: [], ScriptDuration: [] }]));
  for (let round = 0; round <= REAL_ROUNDS; round += 1) {
    for (const name of names) {
      await page.evaluate(
        async ([name, url, count]) => (await import("/test/bench/page.js")).connect(name, url, count),
        [name, sockets.url, REAL_MESSAGES],
      );
      const before = await metrics();
      await within(
        name,
        page.evaluate(async () => (await import("/test/bench/page.js")).run()),
        300_000,
      );
      const after = await metrics();
      await page.evaluate(async () => (await import("/test/bench/page.js")).disconnect());
      // The first round is for warming up.
      if (round > 0)
        for (const key in times.get(name))
          times.get(name)[key].push(((after[key] - before[key]) / REAL_MESSAGES) * 1e6);
    }
  }
  const middle = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)].toFixed(2);
  const what = `${REAL_MESSAGES} messages, median of ${REAL_ROUNDS}`;
  console.log(`\nmicroseconds of the page's main thread for one message of 130 B over a real socket (${what})\n`);
  table(
    ["", "tasks", "of them script"],
    names.map((name) => [name, middle(times.get(name).TaskDuration), middle(times.get(name).ScriptDuration)]),
  );
  await page.close();
}

/** A server that accepts the handshake and sends messages when it is asked for them. */
async function pushServer() {
  const { frames } = jsonFrames(130, 1);
  const http = createServer();
  const server = new WebSocketServer({ server: http, perMessageDeflate: false });
  server.on("connection", (socket) => {
    socket.on("message", (data) => {
      const text = data.toString();
      if (text.startsWith('{"protocol"')) socket.send("{}\x1e");
      else if (text.includes("go")) push(socket, frames);
    });
  });
  await new Promise((resolve) => http.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${http.address().port}/`,
    close: () => (server.clients.forEach((client) => client.terminate()), http.close()),
  };
}

async function push(socket, frames) {
  for (let sent = 0; sent < REAL_MESSAGES; sent += 1) {
    // No more than the socket takes: what waits would only cost memory.
    const written = new Promise((resolve) => socket.send(frames[sent % frames.length], resolve));
    if (sent % 500 === 499) await written;
  }
}

function table(head, rows) {
  const widths = head.map((_, at) => Math.max(...[head, ...rows].map((row) => row[at].length)));
  for (const row of [head, ...rows]) {
    console.log(
      row
        .map((text, at) =>
          at === 0 || (at === head.length - 1 && head.length > 3) ? text.padEnd(widths[at]) : text.padStart(widths[at]),
        )
        .join("  ")
        .trimEnd(),
    );
  }
}
