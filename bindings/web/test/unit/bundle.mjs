// The sources of js/ as modules that Node can load: their private names are mangled in dist/.
import { mkdtempSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";

const folder = join(dirname(fileURLToPath(import.meta.url)), "../..");

/** What `js/NAME.ts` exports, for each name. All share one bundle, and so its state. */
export async function sources(...names) {
  const outdir = mkdtempSync(join(folder, "build/unit-"));
  const contents = names.map((name, i) => `export * as m${i} from "./${name}.ts";`).join("\n");
  await build({
    stdin: { contents, resolveDir: join(folder, "js"), loader: "ts" },
    outfile: join(outdir, "bundle.mjs"),
    bundle: true,
    format: "esm",
    platform: "neutral",
    mainFields: ["module", "main"],
    nodePaths: [join(folder, "node_modules")],
    logLevel: "warning",
  });
  const bundle = await import(pathToFileURL(join(outdir, "bundle.mjs")));
  return names.map((_, i) => bundle[`m${i}`]);
}
