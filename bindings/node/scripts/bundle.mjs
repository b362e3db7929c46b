// dist/ out of js/: one CommonJS module with everything, and an entry each for `require` and for `import` that has a
// part of it, and the types of the latter. `cargo xtask node` runs it after tsc.
import { copyFileSync, existsSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const folder = join(dirname(fileURLToPath(import.meta.url)), "..");
const dist = join(folder, "dist");
const entries = ["index", "msgpack", "hubs"];

if (existsSync(dist)) for (const name of readdirSync(dist)) if (/\.(d\.mts|[cm]js)$/.test(name)) rmSync(join(dist, name));

const bundle = (name, file) =>
  build({
    absWorkingDir: folder,
    entryPoints: [`js/${name}.ts`],
    outfile: file,
    bundle: true,
    format: "cjs",
    platform: "node",
    target: "node20",
    legalComments: "none",
    // The sources in ../js have no packages of their own.
    nodePaths: [join(folder, "node_modules")],
    logLevel: "warning",
  });

const result = await bundle("all", "dist/all.cjs").catch(() => process.exit(1));
if (result.warnings.length > 0) fail("esbuild has warnings, see above");
const require = createRequire(import.meta.url);
for (const name of entries) {
  // What an entry exports is known by asking it, on its own.
  const probe = `build/${name}.cjs`;
  await bundle(name, probe);
  const names = Object.keys(require(join(folder, probe))).sort();
  if (names.length === 0) fail(`the entry ${name} exports nothing`);
  const list = names.join(", ");
  writeFileSync(join(dist, `${name}.cjs`), `"use strict";\nconst { ${list} } = require("./all.cjs");\nmodule.exports = { ${list} };\n`);
  const exports = names.map((name) => `export const ${name} = all.${name};\n`).join("");
  writeFileSync(join(dist, `${name}.mjs`), `import all from "./all.cjs";\n${exports}`);
  // The types that tsc wrote are those of CommonJS; the same types for ESM, so that a class is one class in both.
  writeFileSync(join(dist, `${name}.d.mts`), `export * from "./types/node/js/${name}.js";\n`);
}
for (const name of ["LICENSE-APACHE", "LICENSE-MIT"]) copyFileSync(join(folder, "../..", name), join(dist, name));

function fail(text) {
  console.error(`bundle: ${text}`);
  process.exit(1);
}
