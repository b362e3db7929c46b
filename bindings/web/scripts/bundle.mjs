// dist/ out of js/ and build/wasm: minified modules for the entries, the WebAssembly module beside them, and the types
// that the entries need. `cargo xtask web` runs it after tsc.
import { copyFileSync, existsSync, readFileSync, readdirSync, rmSync, rmdirSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const folder = join(dirname(fileURLToPath(import.meta.url)), "..");
const dist = join(folder, "dist");
const wasm = "hubwire_web_bg.wasm";
const entries = ["index", "inline", "msgpack", "hubs"];

const missing = entries.map((name) => `js/${name}.ts`).filter((file) => !existsSync(join(folder, file)));
if (missing.length > 0) fail(`missing: ${missing.join(", ")}`);

// What is wrong, esbuild has said by then.
await modules().catch(() => process.exit(1));
copyFileSync(join(folder, "build/wasm", wasm), join(dist, wasm));
for (const name of ["LICENSE-APACHE", "LICENSE-MIT"]) copyFileSync(join(folder, "../..", name), join(dist, name));
types();

async function modules() {
  for (const name of readdirSync(dist)) if (/\.(js|wasm)$/.test(name)) rmSync(join(dist, name));
  const result = await build({
    absWorkingDir: folder,
    entryPoints: entries.map((name) => `js/${name}.ts`),
    outdir: "dist",
    bundle: true,
    splitting: true,
    // All in one folder, so that the address of the WebAssembly module is the same from each.
    chunkNames: "chunk-[hash]",
    format: "esm",
    platform: "browser",
    target: "es2022",
    minify: true,
    legalComments: "none",
    plugins: [{ name: "wasm", setup: (build) => build.onLoad({ filter: /\.wasm$/ }, inlined) }],
    // Private properties are named with a _ behind. Two of them come from names that compilers make.
    mangleProps: /[^_]_$/,
    // The sources in ../js have no packages of their own.
    nodePaths: [join(folder, "node_modules")],
    logLevel: "warning",
    metafile: true,
  });
  if (result.warnings.length > 0) fail("esbuild has warnings, see above");
  // What loads what, for scripts/size.mjs.
  writeFileSync(join(folder, "build/bundle.json"), JSON.stringify({ outputs: result.metafile.outputs }));
  for (const [file, { bytes, imports }] of Object.entries(result.metafile.outputs)) {
    const outside = imports.filter((one) => one.external).map((one) => one.path);
    if (outside.length > 0) fail(`${file} imports ${outside.join(", ")}, which is not in the package`);
    console.log(`  ${file}: ${bytes} bytes`);
  }
}

/**
 * What `import bytes from "…/hubwire_web_bg.wasm"` is: a Uint8Array inside of the bundle. esbuild's own loader for
 * this needs a helper that the other entries would load, too.
 */
function inlined({ path }) {
  const text = JSON.stringify(readFileSync(path, "base64"));
  return { contents: `export default /* @__PURE__ */ Uint8Array.from(atob(${text}), (char) => char.charCodeAt(0));` };
}

/** Removes the declarations that no entry leads to, and fails when one is missing that an entry leads to. */
function types() {
  const top = join(dist, "types");
  const needed = new Set();
  const visit = (file, from) => {
    if (needed.has(file)) return;
    if (!existsSync(file))
      fail(`${relative(dist, from)} needs the types of ${relative(top, file)}, which is not shipped`);
    needed.add(file);
    for (const [, path] of readFileSync(file, "utf8").matchAll(/\b(?:from|import)\s*\(?\s*"([^"]+)"/g)) {
      if (!path.startsWith(".")) fail(`${relative(dist, file)} needs types of ${path}, which is not in the package`);
      visit(resolve(dirname(file), path.replace(/\.js$/, ".d.ts")), file);
    }
  };
  for (const name of entries) visit(join(top, `web/js/${name}.d.ts`), dist);
  prune(top, needed);
}

function prune(at, needed) {
  for (const entry of readdirSync(at, { withFileTypes: true })) {
    const path = join(at, entry.name);
    if (entry.isDirectory()) prune(path, needed);
    else if (!needed.has(path)) rmSync(path);
  }
  if (readdirSync(at).length === 0) rmdirSync(at);
}

function fail(text) {
  console.error(`bundle: ${text}`);
  process.exit(1);
}
