// The tests of the package in Node, one line for each: `pass|fail|skip  file > name`. For `cargo xtask test node`.
// node run.mjs --server INTEROP-SERVER --proxy FAULT-PROXY [--files PART-OF-NAME] [--only PART-OF-TEST-NAME] [--node PROGRAM]
import { existsSync, readdirSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Runner } from "./lib/runner.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const { values: options } = parseArgs({
  options: {
    server: { type: "string" },
    proxy: { type: "string" },
    files: { type: "string", default: "" },
    only: { type: "string", default: "" },
    node: { type: "string", default: process.execPath },
  },
});
for (const name of ["server", "proxy"]) {
  if (!options[name]) stop(`--${name} PROGRAM is missing`);
}
if (!existsSync(join(here, "../dist/index.mjs"))) stop("there is no dist: cargo xtask node");

function stop(text) {
  console.error(`run.mjs: ${text}`);
  process.exit(2);
}

const files = (folder) =>
  readdirSync(join(here, folder))
    .filter((name) => name.endsWith(".test.mjs") && name.includes(options.files))
    .sort()
    .map((name) => resolve(here, folder, name));

const started = performance.now();
const runner = new Runner(options.node, { server: resolve(options.server), proxy: resolve(options.proxy) }, options.only);
for (const file of [...files("../../web/test/browser"), ...files("compat"), ...files("own")]) await runner.file(file);
const code = runner.end(started);
if (runner.passed + runner.failed === 0) stop("no test has such a name");
process.exit(code);
