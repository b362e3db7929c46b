// Measures in the page. Times are of the processor, as nothing is waited for: nanoseconds for one message.
import { jsonFrames, messagePackFrames } from "./frames.js";
import { OfficialMessagePack, real, ways } from "./ways.js";

const WARM_UP = 3;
const ROUNDS = 7;

/** What is measured with how many messages in a batch; with large ones fewer, which is long enough. */
export const CASES = [
  { name: "JSON, 130 B", kind: "json", size: 130, perFrame: 1, messages: 20_000 },
  { name: "JSON, 2 KB", kind: "json", size: 2_000, perFrame: 1, messages: 20_000 },
  { name: "JSON, 20 KB", kind: "json", size: 20_000, perFrame: 1, messages: 4_000 },
  { name: "JSON, 130 B, 16 in a frame", kind: "batches", size: 130, perFrame: 16, messages: 20_000 },
  { name: "MessagePack, 130 B", kind: "messagepack", size: 130, perFrame: 1, messages: 20_000 },
  { name: "MessagePack, 2 KB", kind: "messagepack", size: 2_000, perFrame: 1, messages: 20_000 },
];

/** One case: `{ way: nanoseconds }`, medians of interleaved rounds. */
export async function measure({ kind, size, perFrame, messages }) {
  const { bare, frames, bytes } =
    kind === "messagepack" ? messagePackFrames(size, new OfficialMessagePack()) : jsonFrames(size, perFrame);
  const event = (data) => new MessageEvent("message", { data });
  const events = frames.map(event);
  const bareEvents = (bare ?? frames).map(event);
  let seen = 0;
  let check = 0;
  const sink = (value) => {
    seen += 1;
    // Something of the value is used, so that nobody can leave it out.
    check += value.text.length;
  };
  const runners = [];
  for (const [name, way] of Object.entries(ways[kind])) {
    runners.push({ name, events: way.bare ? bareEvents : events, times: [], ...(await way.start(sink)) });
  }
  const count = Math.ceil(messages / perFrame);
  for (let round = 0; round < WARM_UP + ROUNDS; round += 1) {
    for (const runner of round % 2 === 0 ? runners : runners.toReversed()) {
      seen = 0;
      // Nobody is to clean up after the one before.
      globalThis.gc();
      const started = performance.now();
      for (let at = 0; at < count; at += 1) runner.feed(runner.events[at % runner.events.length]);
      const time = await drained(() => seen === count * perFrame, started, runner.name);
      if (round >= WARM_UP) runner.times.push((time / (count * perFrame)) * 1e6);
    }
  }
  for (const { close } of runners) await close();
  if (check === 0) throw new Error("the messages were empty");
  return {
    bytes,
    rounds: ROUNDS,
    messages: count * perFrame,
    times: Object.fromEntries(runners.map(({ name, times }) => [name, median(times)])),
  };
}

/** How long it took until all messages were with the handler, which may be a while after the socket gave the last. */
async function drained(done, started, name) {
  for (let turn = 0; !done(); turn += 1) {
    if (turn === 10_000) throw new Error(`${name} has not given all messages to the handler`);
    await new Promise((resolve) => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => (port1.close(), resolve());
      port2.postMessage(0);
    });
  }
  return performance.now() - started;
}

function median(numbers) {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];
}

/** Connects one way to a real server; `run` of it takes all messages. */
export async function connect(way, url, count) {
  globalThis.connected = await real[way](url, count);
}

export const run = () => globalThis.connected.run();
export const disconnect = () => globalThis.connected.close();
export const realWays = Object.keys(real);
