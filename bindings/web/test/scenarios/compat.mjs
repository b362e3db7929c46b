// Each scenario of compat/scenarios.js with @microsoft/signalr and with @hubwire/web, and what was observed side by side. What
// differs has to be listed here, with the reason. docs/compatibility-web.md is the table; UPDATE=1 writes it.
import { readFileSync, writeFileSync } from "node:fs";
import { assert, within } from "../lib/assert.mjs";
import { differences } from "../compat/differences.mjs";
import { table } from "../compat/table.mjs";

const WAYS = [
  ["WebSockets", "json"],
  ["WebSockets", "messagepack"],
  ["ServerSentEvents", "json"],
  ["LongPolling", "json"],
];
const PAGE = new URL("../../../../docs/compatibility-web.md", import.meta.url);

/** Scenarios that are about one transport only, or that browsers keep from working over others. */
const ONLY = {
  "without negotiation": ["WebSockets"],
  "options that do not fit": ["WebSockets json"],
  "a connection that is cut, without reconnecting": ["WebSockets"],
  "a connection that is cut, with reconnecting": ["WebSockets"],
  "a stop while reconnecting": ["WebSockets"],
  "a policy that throws": ["WebSockets"],
  // The official client does not end over long polling while the server is in the call.
  "a stop while a call waits": ["WebSockets", "ServerSentEvents"],
  "a server that is silent": ["WebSockets", "ServerSentEvents"],
};

const { scenarios } = await import("../compat/scenarios.js");

export default ({ test }) => {
  const rows = [];
  for (const name of Object.keys(scenarios)) {
    for (const [transport, protocol] of WAYS) {
      const only = ONLY[name];
      if (only && !only.includes(transport) && !only.includes(`${transport} ${protocol}`)) continue;
      test(`${name}, ${transport} in ${protocol}`, async ({ world }) => {
        const seen = {};
        for (const library of ["signalr", "hubwire"]) {
          const page = await world.page();
          world.stray.expect(".");
          await page.exposeBinding("__world", (_, command, ...args) => {
            const [area, method] = command.split(".");
            return method ? world[area][method](...args) : world[area](...args);
          });
          const options = { library, name, transport, protocol, url: world.server.url, proxyUrl: world.proxy.url };
          const running = page.evaluate(
            async (options) => (await import("/test/compat/scenarios.js")).run(options, globalThis.__world),
            options,
          );
          seen[library] = await within(`the end of the scenario with ${library}`, running, 20_000);
          await world.proxy.unblock();
          await page.close();
        }
        const known = differences(name, transport, protocol);
        const row = { name, way: `${transport}, ${protocol}`, ...seen, known };
        rows.push(row);
        const expected = known.reduce((lines, { from, to }) => lines.flatMap((line) => (line === from ? to : line)), seen.signalr);
        assert.deepEqual(seen.hubwire, expected);
      }, { timeout: 60_000 });
    }
  }

  test("docs/compatibility-web.md is what was seen", async () => {
    const text = table(rows);
    if (process.env.UPDATE) writeFileSync(PAGE, text);
    assert.equal(readFileSync(PAGE, "utf8") === text, true, "it differs: run with UPDATE=1 and look at it");
  });
};
