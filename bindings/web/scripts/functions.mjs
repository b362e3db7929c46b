// node functions.mjs MODULE.wasm: what is large in a module that still has its names: modules of Rust, then functions.
import { readFileSync } from "node:fs";
import { sections, Reader } from "./module.mjs";

const SHOWN = 40;
const bytes = readFileSync(process.argv[2]);
const all = functions(bytes).sort((a, b) => b.size - a.size);
const total = all.reduce((sum, { size }) => sum + size, 0);

console.log(`${all.length} functions, ${total} bytes of code before compression\n\n bytes  functions  module`);
const rows = [...grouped(all)].map(([name, list]) => ({
  name,
  count: list.length,
  size: list.reduce((sum, { size }) => sum + size, 0),
}));
for (const { name, count, size } of rows.sort((a, b) => b.size - a.size).slice(0, SHOWN)) {
  console.log(`${String(size).padStart(6)}  ${String(count).padStart(9)}  ${name}`);
}
console.log("\n bytes  function");
for (const { name, size } of all.slice(0, SHOWN)) console.log(`${String(size).padStart(6)}  ${name}`);

/** The first two or three names of the path of a function; `<A as B>::f` counts for A. */
function group({ name }) {
  const path = name.replace(/^[<&( ]+/, "").replace(/(<impl |dyn )/g, "");
  const parts = path.split(/[^\w:]/)[0].split("::");
  return parts.slice(0, parts[0] === "hubwire" || parts[1] === "collections" ? 3 : 2).join("::") || "unnamed";
}

function grouped(list) {
  const found = new Map();
  for (const one of list) found.set(group(one), [...(found.get(group(one)) ?? []), one]);
  return found;
}

/** `{ name, size }` of all functions with code. */
function functions(bytes) {
  const names = new Map();
  const sizes = [];
  let imported = 0;
  for (const { id, from, to } of sections(bytes)) {
    const reader = new Reader(bytes, from);
    if (id === 2) imported = importedFunctions(reader);
    if (id === 10) for (let count = reader.number(); count > 0; count -= 1) sizes.push(reader.skip(reader.number()));
    if (id === 0 && reader.text() === "name") {
      while (reader.at < to) {
        const kind = reader.byte();
        const end = reader.number() + reader.at;
        if (kind === 1)
          for (let count = reader.number(); count > 0; count -= 1) names.set(reader.number(), reader.text());
        reader.at = end;
      }
    }
  }
  return sizes.map((size, at) => ({
    size,
    name: (names.get(at + imported) ?? "unnamed").replace(/::h[0-9a-f]{16}$/, ""),
  }));
}

function importedFunctions(reader) {
  let found = 0;
  const limits = () => (reader.number() & 1 ? (reader.number(), reader.number()) : reader.number());
  for (let count = reader.number(); count > 0; count -= 1) {
    reader.text();
    reader.text();
    const kind = reader.byte();
    if (kind === 0) found += 1;
    if (kind === 1) reader.byte();
    if (kind === 1 || kind === 2) limits();
    else if (kind === 3) reader.skip(2);
    else reader.number();
  }
  return found;
}
