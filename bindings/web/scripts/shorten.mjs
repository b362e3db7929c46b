// node shorten.mjs NAMES.json GLUE.js: uses in the glue the short names that wasm-opt has given to imports and exports.
// The names that wasm-bindgen makes have a hash each, which does not compress, in both files.
import { readFileSync, writeFileSync } from "node:fs";

const [names, file] = process.argv.slice(2);
const { imports, exports } = JSON.parse(readFileSync(names, "utf8"));
let glue = readFileSync(file, "utf8");

function fail(text) {
  console.error(`shorten: ${file}: ${text}`);
  process.exit(1);
}

// wasm-opt gives all imports to one module.
const from = [...new Set(imports.map(([module]) => module))];
if (from.length !== 1) fail(`imports of ${from.join(", ")}, which cannot be told apart`);
if (!glue.includes(`"${from[0]}": import0`)) fail(`it has no imports of ${from[0]}`);
glue = glue.replace(`"${from[0]}": import0`, "a: import0");

// All at once: a short name may be the long name of another.
const missing = new Map(imports.map(([, long, short]) => [long, short]));
glue = glue.replaceAll(/(?<=^ +)(__wb\w+)(?=: )/gm, (long) => {
  const short = missing.get(long) ?? fail(`${long} is no import`);
  missing.delete(long);
  return short;
});
if (missing.size > 0) fail(`it has no ${[...missing.keys()].join(", ")}`);
const exported = new Map(exports);
glue = glue.replaceAll(/\bwasm\.(\w+)/g, (_, long) => `wasm.${exported.get(long) ?? fail(`${long} is no export`)}`);

writeFileSync(file, glue);
console.log(`  ${imports.length} imports and ${exports.length} exports`);
