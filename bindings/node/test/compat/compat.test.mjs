// The scenarios of the browser package's comparison, in Node: with @microsoft/signalr and with @hubwire/node.
import { compare } from "/test/compat/compare.mjs";
import { run } from "/test/compat/scenarios.js";
import { harness, test, within } from "../lib/harness.mjs";
import { differences } from "./differences.mjs";

const WAYS = [
  ["WebSockets", "json"],
  ["WebSockets", "messagepack"],
  ["ServerSentEvents", "json"],
  ["LongPolling", "json"],
  ["LongPolling", "messagepack"],
];

/** Scenarios that are about one transport only. */
const ONLY = {
  "without negotiation": ["WebSockets"],
  "options that do not fit": ["WebSockets json"],
  // Over the others, what is said of a cut is whatever the HTTP client in use says.
  "a connection that is cut, without reconnecting": ["WebSockets"],
  "a connection that is cut, with reconnecting": ["WebSockets"],
  "a stop while reconnecting": ["WebSockets"],
  "a policy that throws": ["WebSockets"],
  // Long polls have no server timeout.
  "a server that is silent": ["WebSockets", "ServerSentEvents"],
};

const control = async (command, ...args) => {
  const [area, method] = command.split(".");
  return method ? harness[area][method](...args) : harness[area](...args);
};

compare(test, {
  ways: WAYS,
  only: ONLY,
  differences,
  page: "docs/compatibility-node.md",
  command: "cargo xtask test node",
  place: "in Node",
  async run(options) {
    await harness.expectError(/./);
    const running = run({ ...options, url: harness.server.url, proxyUrl: harness.proxy.url }, control);
    const seen = await within(`the end of the scenario with ${options.library}`, running, 20_000);
    await harness.proxy.unblock();
    return seen;
  },
});
