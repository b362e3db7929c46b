// The official client as modules that a page can import, to be compared with.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const folder = join(dirname(fileURLToPath(import.meta.url)), "../..");

/** A temporary folder with `signalr.js`, `signalr-msgpack.js` and `msgpack.js`. */
export async function official() {
  const outdir = mkdtempSync(join(tmpdir(), "hubwire-official-"));
  process.once("exit", () => rmSync(outdir, { recursive: true, force: true }));
  const entry = (name) => join(folder, "node_modules", name);
  await build({
    entryPoints: {
      signalr: entry("@microsoft/signalr"),
      "signalr-msgpack": entry("@microsoft/signalr-protocol-msgpack"),
      // A decoder alone.
      msgpack: entry("@msgpack/msgpack"),
    },
    outdir,
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "browser",
    target: "es2022",
    minify: true,
    logLevel: "error",
  });
  return outdir;
}
