// What the package weighs over the network, file by file, and beside the official client. Fails above the budgets; with
// --no-growth, for as long as they are not reached, above what size.json says. UPDATE=1 writes that.
// 1 kB = 1000 bytes. Files are compressed one by one, as servers do; totals are sums.
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { build } from "esbuild";

const folder = join(dirname(fileURLToPath(import.meta.url)), "..");
/** gzip -9, in kB: what must not be exceeded, and what is aimed at. */
const BUDGETS = { plain: { limit: 45, goal: 35 }, msgpack: { limit: 57, goal: 45 } };
const WASM = "dist/hubwire_web_bg.wasm";
const { outputs } = JSON.parse(readFileSync(join(folder, "build/bundle.json"), "utf8"));

const plain = [WASM, ...loaded("dist/index.js", "dist/hubs.js")];
const withMessagePack = [...new Set([...plain, ...loaded("dist/msgpack.js")])];
const inline = loaded("dist/inline.js").filter((file) => !withMessagePack.includes(file));
const peer = await official("@microsoft/signalr");
const peerWithMessagePack = await official("@microsoft/signalr", "@microsoft/signalr-protocol-msgpack");

const rows = withMessagePack.map((file) => row(`${file}${plain.includes(file) ? "" : " (MessagePack)"}`, of(file)));
rows.push(
  undefined,
  row("everything without MessagePack", sum(plain), BUDGETS.plain),
  row("everything with MessagePack", sum(withMessagePack), BUDGETS.msgpack),
  undefined,
  ...inline.map((file) => row(`${file} (entry with the module inside)`, of(file))),
  row("@microsoft/signalr", peer),
  row("@microsoft/signalr and its MessagePack", peerWithMessagePack),
);
print(rows);
const over = rows.filter((row) => row?.budget && row.gzip > row.budget.limit * 1000);
for (const { name, gzip, budget } of over)
  console.error(`size: ${name} is ${kB(gzip)} kB gzip, the budget is ${budget.limit} kB`);
process.exit(process.argv.includes("--no-growth") ? grown() : over.length > 0 ? 1 : 0);

/** 1 if a total is more than half a percent above what it was. */
function grown() {
  const file = join(folder, "size.json");
  const totals = rows.filter((row) => row?.budget);
  if (process.env.UPDATE) {
    const sizes = Object.fromEntries(totals.map(({ name, gzip }) => [name, gzip]));
    writeFileSync(file, `${JSON.stringify(sizes, undefined, 2)}\n`);
  }
  const recorded = JSON.parse(readFileSync(file, "utf8"));
  const larger = totals.filter(({ name, gzip }) => gzip > recorded[name] * 1.005);
  for (const { name, gzip } of larger)
    console.error(`size: ${name} has grown from ${recorded[name]} to ${gzip} bytes gzip`);
  return larger.length > 0 ? 1 : 0;
}

/** The modules that importing these loads, now or later. */
function loaded(...entries) {
  const found = new Set();
  const visit = (file) => {
    if (found.has(file)) return;
    found.add(file);
    for (const { path } of outputs[file].imports) visit(path);
  };
  entries.forEach(visit);
  return [...found];
}

function of(file) {
  return weigh(readFileSync(join(folder, file)));
}

function weigh(bytes) {
  const best = { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } };
  return {
    raw: bytes.length,
    gzip: gzipSync(bytes, { level: 9 }).length,
    brotli: brotliCompressSync(bytes, best).length,
  };
}

function sum(files) {
  const parts = files.map(of);
  const total = (key) => parts.reduce((all, part) => all + part[key], 0);
  return { raw: total("raw"), gzip: total("gzip"), brotli: total("brotli") };
}

/** The official packages with all of their exports, bundled as ours are. */
async function official(...names) {
  const contents = names.map((name) => `export * from "${name}";`).join("\n");
  const result = await build({
    stdin: { contents, resolveDir: folder },
    bundle: true,
    write: false,
    format: "esm",
    platform: "browser",
    target: "es2022",
    minify: true,
    legalComments: "none",
    logLevel: "error",
  });
  return weigh(result.outputFiles[0].contents);
}

function row(name, sizes, budget) {
  return { name, ...sizes, budget };
}

function print(rows) {
  const width = Math.max(...rows.map((row) => row?.name.length ?? 0));
  const cell = (text) => String(text).padStart(10);
  console.log(
    "bytes".padEnd(width) + ["raw", "gzip -9", "brotli 11"].map(cell).join(""),
    " budget, goal (gzip; 1 kB = 1000 bytes)",
  );
  for (const row of rows) {
    if (!row) {
      console.log();
      continue;
    }
    const { name, raw, gzip, brotli, budget } = row;
    const verdict = budget ? judged(gzip, budget) : "";
    console.log(`${name.padEnd(width)}${[raw, gzip, brotli].map(cell).join("")}  ${verdict}`.trimEnd());
  }
}

function judged(gzip, { limit, goal }) {
  const fits = gzip <= limit * 1000 ? "ok" : "TOO MUCH";
  return `${kB(gzip)} of ${limit} kB ${fits}, goal ${goal} kB ${gzip <= goal * 1000 ? "met" : "missed"}`;
}

function kB(bytes) {
  return (bytes / 1000).toFixed(1);
}
