// esbuild leaves `new URL(…, import.meta.url)` as it is: the module is inside, or it is copied beside the bundle.
import { copyFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const absWorkingDir = fileURLToPath(new URL(".", import.meta.url));
await build({
  absWorkingDir,
  entryPoints: ["inline.js", "copied.js"],
  outdir: "dist",
  bundle: true,
  minify: true,
  format: "esm",
  logLevel: "warning",
});
copyFileSync(
  fileURLToPath(import.meta.resolve("@hubwire/web/hubwire_web_bg.wasm")),
  `${absWorkingDir}dist/hubwire_web_bg.wasm`,
);
