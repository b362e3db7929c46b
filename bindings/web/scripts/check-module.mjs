// node check-module.mjs MODULE.wasm: what must not be in the WebAssembly module. One line for each finding.
import { readFileSync } from "node:fs";
import { sections } from "./module.mjs";

/** What panics say, and where they are; and what the encodings of the native client would bring along. */
const BARRED = [
  "panicked",
  "called `Option::unwrap()",
  "called `Result",
  "index out of bounds",
  "out of range for slice",
  "attempt to ",
  "already borrowed",
  "assertion",
  "unreachable code",
  "src/",
  "src\\",
  ".rs",
  "/rustc/",
  "serde",
  "RefCell",
];

const file = process.argv[2];
const bytes = readFileSync(file);
const module = new WebAssembly.Module(bytes);
const findings = [];

for (const { module: from, name } of WebAssembly.Module.imports(module)) {
  // What the C library of wasm targets would be asked for: nobody gives it in a browser.
  if (from === "env" || from.startsWith("wasi")) findings.push(`it imports ${name} of "${from}"`);
}
for (const name of ["name", "producers"]) {
  if (WebAssembly.Module.customSections(module, name).length > 0) findings.push(`it has the section "${name}"`);
}
const data = sections(bytes)
  .filter(({ id }) => id === 11)
  .map(({ from, to }) => bytes.toString("latin1", from, to))
  .join("\0");
for (const text of BARRED) {
  const at = data.indexOf(text);
  if (at >= 0) findings.push(`its data has "${text}" in …${printable(data.slice(Math.max(0, at - 40), at + 60))}…`);
}

for (const finding of findings) console.error(`${file}: ${finding}`);
const imports = WebAssembly.Module.imports(module).length;
console.log(`  ${bytes.length} bytes, ${imports} imports, ${data.length} bytes of data, ${findings.length} findings`);
process.exit(findings.length > 0 ? 1 : 0);

function printable(text) {
  return text.replaceAll(/[^\x20-\x7e]+/g, "·");
}
