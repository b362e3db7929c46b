// The worker, the publisher and the watcher as processes of their own: one line for each test, `pass|fail  worker-node > name`.
// node run.mjs --server WORKER-NODE-SERVER [--only PART-OF-TEST-NAME]; after `npm run build`.
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { tests } from "./worker.mjs";

const { values: options } = parseArgs({ options: { server: { type: "string" }, only: { type: "string", default: "" } } });
if (!options.server) {
  console.error("run.mjs: --server PROGRAM is missing");
  process.exit(2);
}

/** The demo of the README, to its verdict. */
tests.push({
  name: "the demo ends by itself with a verdict",
  run: (binary) =>
    new Promise((resolve, reject) => {
      const demo = fileURLToPath(new URL("../dist/demo/main.js", import.meta.url));
      execFile(process.execPath, [demo, "--server", binary], { timeout: 60_000 }, (error, stdout, stderr) =>
        error || !stdout.endsWith("demo: ok\n") ? reject(new Error(stderr || stdout || String(error))) : resolve(),
      );
    }),
});

let failed = 0;
for (const { name, run } of tests) {
  if (!name.includes(options.only)) continue;
  const started = Date.now();
  let text = "";
  try {
    await run(options.server);
  } catch (error) {
    failed += 1;
    text = `: ${String(error?.stack ?? error).replaceAll(/\s+/g, " ").slice(0, 2_000)}`;
  }
  console.log(`${text ? "fail" : "pass"}  worker-node > ${name}${text}  (${Date.now() - started} ms)`);
}
process.exit(failed > 0 ? 1 : 0);
