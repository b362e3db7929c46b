// Each scenario with both packages, and what was observed side by side. What differs has to be known, with the reason; a page of
// the documentation is the table, which UPDATE=1 writes.
import { readFileSync, writeFileSync } from "node:fs";
import { assert, fail } from "../lib/assert.mjs";
import { scenarios } from "./scenarios.js";
import { table } from "./table.mjs";

/**
 * Registers the tests. `ways` are pairs of transport and protocol, `only` those of single scenarios, `run(options, context)` gives
 * what a scenario has noted, `differences(scenario, transport, protocol)` those that are known.
 */
export function compare(test, { ways, only, differences, run, page, ...about }) {
  const rows = [];
  for (const name of Object.keys(scenarios)) {
    for (const [transport, protocol] of ways) {
      const these = only[name];
      if (these && !these.includes(transport) && !these.includes(`${transport} ${protocol}`)) continue;
      test(`${name}, ${transport} in ${protocol}`, async (context) => {
        const seen = {};
        for (const library of ["signalr", "hubwire"]) seen[library] = await run({ library, name, transport, protocol }, context);
        const known = differences(name, transport, protocol);
        rows.push({ name, way: `${transport}, ${protocol}`, ...seen, known });
        const expected = known.reduce((lines, { from, to }) => lines.flatMap((line) => (line === from ? to : line)), seen.signalr);
        const isSame = (line, wanted) => (wanted instanceof RegExp ? wanted.test(line ?? "") : line === wanted);
        const lines = Array.from({ length: Math.max(expected.length, seen.hubwire.length) }, (_, at) => [seen.hubwire[at], expected[at]]);
        const different = lines.filter(([line, wanted]) => !isSame(line, wanted));
        if (different.length > 0) fail(different.map(([line, wanted]) => `got '${line}', expected '${wanted}'`).join("; "));
      }, { timeout: 60_000 });
    }
  }

  test(`${page} is what was seen`, async () => {
    const file = new URL(`../../../../${page}`, import.meta.url);
    const text = table(rows, about);
    if (process.env.UPDATE) writeFileSync(file, text);
    assert.equal(readFileSync(file, "utf8") === text, true, "it differs: run with UPDATE=1 and look at it");
  });
}
