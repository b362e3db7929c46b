// What messages cost in Node, beside the official client on `ws` and beside bare parsing on `ws`: over real sockets, from a server in a
// process of its own. Fails only when it cannot measure: the machine may be busy, so the verdicts are for people.
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { cpus } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { CASES } from "./frames.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const OURS = "@hubwire/node";
const THEIRS = "@microsoft/signalr";
const ROUNDS = 3;

if (process.platform !== "linux") throw new Error("the time of one thread is read from /proc, which only Linux has");
const server = spawn(process.execPath, [join(here, "server.mjs")], { stdio: ["pipe", "pipe", "inherit"] });
const url = String((await once(server.stdout, "data"))[0]).trim();
console.log(`Node ${process.version} on ${cpus()[0].model}, ${cpus().length} processors; medians of ${ROUNDS} rounds\n`);
try {
  await receiving();
  await sending();
} finally {
  server.stdin.end();
}

async function measure(ways, name) {
  const results = Object.fromEntries(ways.map((way) => [way, []]));
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const way of round % 2 === 0 ? ways : ways.toReversed()) {
      const run = promisify(execFile)(process.execPath, [join(here, "client.mjs"), way, name, url], { timeout: 120_000 });
      results[way].push(JSON.parse((await run).stdout));
    }
  }
  const median = (way, what) => results[way].map((one) => one[what]).toSorted((a, b) => a - b)[Math.floor(ROUNDS / 2)];
  return (way, what) => median(way, what);
}

async function receiving() {
  const rows = [];
  for (const name of Object.keys(CASES)) {
    const of = await measure(["bare", THEIRS, OURS], name);
    const ratio = of(OURS, "main") / of(THEIRS, "main");
    rows.push([
      name,
      ...["bare", THEIRS, OURS].map((way) => of(way, "main").toFixed(0)),
      (of(OURS, "main") / of("bare", "main")).toFixed(2),
      ratio.toFixed(2),
      ...[THEIRS, OURS].map((way) => of(way, "all").toFixed(0)),
      ratio <= 0.5 ? "ok" : of("bare", "main") > 0.5 * of(THEIRS, "main") ? "OVER, as is bare" : "OVER",
    ]);
  }
  console.log("nanoseconds of the main thread for one received message, and of the whole process\n");
  table(["", "bare on ws", THEIRS, OURS, "to bare", "to theirs", "process: theirs", "ours", "at most 0.5 x theirs"], rows);
}

async function sending() {
  const ways = [`send:${THEIRS}`, `send:${OURS}`];
  const of = await measure(ways, "JSON, 130 B");
  console.log("\nsends of 130 B, 50 at a time\n");
  table(
    ["", "per second", "main thread, ns", "process, ns"],
    ways.map((way) => [way.replace("send:", ""), of(way, "perSecond").toFixed(0), of(way, "main").toFixed(0), of(way, "all").toFixed(0)]),
  );
}

function table(head, rows) {
  const widths = head.map((_, at) => Math.max(...[head, ...rows].map((row) => row[at].length)));
  for (const row of [head, ...rows]) {
    console.log(row.map((text, at) => (at === 0 ? text.padEnd(widths[at]) : text.padStart(widths[at]))).join("  ").trimEnd());
  }
}
