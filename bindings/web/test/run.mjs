// The tests of the package in Chromium, one line for each: `pass|fail|skip  file > name`. For `cargo xtask test web`.
// node run.mjs --server INTEROP-SERVER --proxy FAULT-PROXY [--files PART-OF-NAME] [--only PART-OF-TEST-NAME]
//              [--no-packaging]
import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { official } from "./lib/official.mjs";
import { Runner } from "./lib/runner.mjs";
import { serve } from "./lib/site.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const { values: options } = parseArgs({
  options: {
    server: { type: "string" },
    proxy: { type: "string" },
    files: { type: "string", default: "" },
    only: { type: "string", default: "" },
    "no-packaging": { type: "boolean", default: false },
  },
});
for (const name of ["server", "proxy"]) {
  if (!options[name]) stop(`--${name} PROGRAM is missing`);
}
const dist = join(here, "../dist");
if (!existsSync(join(dist, "index.js"))) stop("there is no dist: cargo xtask web");

function stop(text) {
  console.error(`run.mjs: ${text}`);
  process.exit(2);
}

const files = (folder, end) =>
  readdirSync(join(here, folder))
    .filter((name) => name.endsWith(end) && name.includes(options.files))
    .sort();

const started = performance.now();
const site = await serve({
  "/test/": here,
  "/dist/": dist,
  "/official/": await official(),
});
const runner = new Runner(site.origin, { server: options.server, proxy: options.proxy }, options.only);
try {
  for (const file of files("browser", ".test.mjs")) await runner.inPage(file);
  for (const file of files("scenarios", ".mjs")) {
    await runner.scenario(file, pathToFileURL(join(here, "scenarios", file)));
  }
  if (!options["no-packaging"] && "packaging".includes(options.files)) {
    await runner.scenario("packaging", pathToFileURL(join(here, "packaging/packaging.mjs")));
  }
} finally {
  await site.close();
}
const code = runner.end(started);
if (runner.passed + runner.failed === 0) stop("no test has such a name");
process.exit(code);
