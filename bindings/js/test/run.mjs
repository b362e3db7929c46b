// Bundles the tests, as Node 20 does not run TypeScript, and runs them.
import { spawnSync } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const out = join(root, "build", "test");
const wanted = process.argv.slice(2);
const tests = readdirSync(join(root, "test")).filter(
  (file) => file.endsWith(".test.ts") && (!wanted.length || wanted.some((name) => file.startsWith(name))),
);
if (!tests.length) {
  console.error(`no test file matches ${wanted.join(", ")}`);
  process.exit(1);
}
rmSync(out, { recursive: true, force: true });
await build({
  entryPoints: tests.map((file) => join(root, "test", file)),
  outdir: out,
  outExtension: { ".js": ".mjs" },
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node20",
  sourcemap: "inline",
  logLevel: "warning",
});
const files = tests.map((file) => join(out, file.replace(/\.ts$/, ".mjs")));
const { status } = spawnSync(process.execPath, ["--enable-source-maps", "--expose-gc", "--test", ...files], {
  stdio: "inherit",
});
process.exit(status ?? 1);
