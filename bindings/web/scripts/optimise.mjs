// node optimise.mjs FOLDER NAME: makes NAME_bg.wasm in that folder smaller, and gives what it imports and exports short
// names, there and in NAME.js: those of wasm-bindgen end with digits of a hash, which no compression makes short.
// `cargo xtask web` runs it. With the wasm-opt of npm: Debian's ends well and writes a module that does not start.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const [folder, name] = process.argv.slice(2);
const tool = join(dirname(fileURLToPath(import.meta.url)), "../node_modules/.bin/wasm-opt");
const module = join(folder, `${name}_bg.wasm`);
const glue = join(folder, `${name}.js`);
const options = ["-Oz", "--strip-debug", "--strip-target-features", "--minify-imports-and-exports-and-modules"];
const names = JSON.parse(execFileSync(tool, [...options, module, "-o", module], { encoding: "utf8" }));

let text = readFileSync(glue, "utf8");
for (const [, long, short] of names.imports) replace(`        ${long}: function`, `        ${short}: function`);
for (const [long, short] of names.exports) {
  // What only the engine and other languages look for is not in it.
  if (text.includes(`wasm.${long}`)) replace(new RegExp(`\\bwasm\\.${long}(?![\\w$])`, "g"), `wasm.${short}`);
}
replace(`"./${name}_bg.js": import0`, "a: import0");
writeFileSync(glue, text);

function replace(from, to) {
  const replaced = text.replace(from, () => to);
  if (replaced === text) throw new Error(`${glue} has no ${from}`);
  text = replaced;
}
