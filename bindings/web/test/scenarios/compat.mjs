// Each scenario of compat/scenarios.js with @microsoft/signalr and with @hubwire/web, and what was observed side by side. What
// differs has to be listed here, with the reason. docs/compatibility-web.md is the table; UPDATE=1 writes it.
import { within } from "../lib/assert.mjs";
import { compare } from "../compat/compare.mjs";
import { differences } from "../compat/differences.mjs";

const WAYS = [
  ["WebSockets", "json"],
  ["WebSockets", "messagepack"],
  ["ServerSentEvents", "json"],
  ["LongPolling", "json"],
];

/** Scenarios that are about one transport only, or that browsers keep from working over others. */
const ONLY = {
  "without negotiation": ["WebSockets"],
  "options that do not fit": ["WebSockets json"],
  "a connection that is cut, without reconnecting": ["WebSockets"],
  "a connection that is cut, with reconnecting": ["WebSockets"],
  "a stop while reconnecting": ["WebSockets"],
  "a policy that throws": ["WebSockets"],
  "a server that is silent": ["WebSockets", "ServerSentEvents"],
};

export default ({ test }) =>
  compare(test, {
    ways: WAYS,
    only: ONLY,
    differences,
    page: "docs/compatibility-web.md",
    command: "cargo xtask test web",
    place: "in Chromium",
    async run(options, { world }) {
      const page = await world.page();
      world.stray.expect(".");
      await page.exposeBinding("__world", (_, command, ...args) => {
        const [area, method] = command.split(".");
        return method ? world[area][method](...args) : world[area](...args);
      });
      const urls = { url: world.server.url, proxyUrl: world.proxy.url };
      const running = page.evaluate(
        async (options) => (await import("/test/compat/scenarios.js")).run(options, globalThis.__world),
        { ...options, ...urls },
      );
      const seen = await within(`the end of the scenario with ${options.library}`, running, 20_000);
      await world.proxy.unblock();
      await page.close();
      return seen;
    },
  });
