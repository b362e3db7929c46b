// Prints what the parts of the API weigh when minified, and fails above the budget.
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { build } from "esbuild";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const parts = [
  ["the API", ["index.ts"], 9 * 1024],
  ["with manager", ["index.ts", "manager.ts"]],
  ["with manager and hub clients", ["index.ts", "manager.ts", "hubs/index.ts"]],
];
let failed = false;
console.log("part".padEnd(30), "minified".padStart(9), "gzip".padStart(7), "brotli".padStart(7));
for (const [name, files, budget] of parts) {
  const { outputFiles } = await build({
    stdin: {
      contents: files.map((file) => `export * from "./${file}";`).join("\n"),
      resolveDir: join(root, "src"),
      loader: "ts",
    },
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    write: false,
  });
  const code = outputFiles[0].contents;
  const gzip = gzipSync(code, { level: 9 }).length;
  const sizes = [code.length, gzip, brotliCompressSync(code).length];
  console.log(name.padEnd(30), ...sizes.map((size, index) => String(size).padStart(index ? 7 : 9)));
  if (budget && gzip > budget) {
    failed = true;
    console.error(`${name}: ${gzip} bytes are more than the budget of ${budget}`);
  }
}
process.exit(failed ? 1 : 0);
