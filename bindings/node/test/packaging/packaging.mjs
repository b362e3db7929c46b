// The packages as they are published, installed as users install them: one line for each test, `pass|fail  packaging > name`.
// node packaging.mjs --server INTEROP-SERVER [--only PART-OF-TEST-NAME]; after `cargo xtask node`.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Server } from "../../../web/test/lib/programs.mjs";
import { platform, PLATFORMS } from "../../scripts/platforms.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "../..");
const { values: options } = parseArgs({ options: { server: { type: "string" }, only: { type: "string", default: "" } } });
if (!options.server) {
  console.error("packaging.mjs: --server PROGRAM is missing");
  process.exit(2);
}

const folder = mkdtempSync(join(tmpdir(), "hubwire-pack-"));
process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
const native = `node-${platform()}`;
const tests = [];
const test = (name, run) => tests.push({ name, run });
/** The packed packages, by the names of their folders. */
const packed = {};

test("packs the package and the one of this platform", async () => {
  const made = (await command(root, process.execPath, "scripts/pack.mjs")).trim().split("\n");
  assert.deepEqual(made, ["node", native], "modules of other platforms are in dist");
  for (const name of made) {
    const [{ filename, files, size, unpackedSize }] = JSON.parse(
      await command(join(root, "build/npm", name), "npm", "pack", "--json", "--pack-destination", folder),
    );
    packed[name] = { tarball: join(folder, filename), files: files.map(({ path }) => path) };
    console.log(`  ${filename}: ${kilobytes(size)} kB packed, ${kilobytes(unpackedSize)} kB unpacked`);
  }
});

test("the package has JavaScript and types, and nothing else", () => {
  const { files } = packed.node;
  const fits =
    /^(package\.json|README\.md|dist\/(LICENSE-(APACHE|MIT)|all\.cjs|(index|msgpack|hubs)\.(cjs|mjs|d\.mts)|types\/(js\/src|node\/js)\/[\w/-]+\.d\.ts))$/;
  assert.deepEqual(files.filter((file) => !fits.test(file)), [], "files that do not belong there");
  const { version, optionalDependencies, devDependencies, dependencies, scripts, exports } = manifest("node");
  assert.deepEqual({ devDependencies, dependencies, scripts }, { devDependencies: undefined, dependencies: undefined, scripts: undefined });
  assert.deepEqual(
    optionalDependencies,
    Object.fromEntries(Object.keys(PLATFORMS).map((name) => [`@hubwire/node-${name}`, version])),
  );
  const named = JSON.stringify(exports).match(/\.\/dist\/[^"]+/g).map((file) => file.slice(2));
  assert.deepEqual(named.filter((file) => !files.includes(file)), [], "exports that are not there");
  const own = readFileSync(join(root, "build/npm/node/dist/all.cjs"), "latin1");
  assert.ok(!own.includes(root), "no path of the machine that built it");
});

test("the package of the platform has the module, and says for which machines it is", () => {
  const { files } = packed[native];
  const { main, os, cpu, libc } = manifest(native);
  assert.deepEqual(files.toSorted(), ["LICENSE-APACHE", "LICENSE-MIT", main, "package.json"].toSorted());
  const { os: system, cpu: processor, libc: library } = PLATFORMS[platform()];
  assert.deepEqual({ os, cpu, libc }, { os: [system], cpu: [processor], libc: library && [library] });
});

const ECHOED = '{"text":"héllo","list":[1,null]}';

test("npm installs both, without those of other platforms, and they connect", async ({ url }) => {
  const project = await install("whole", packed.node.tarball, packed[native].tarball);
  copyFileSync(join(here, "app.cjs"), join(project, "app.cjs"));
  assert.equal((await command(project, process.execPath, "app.cjs", url)).trim(), ECHOED);
});

test("without the package of the platform the error names it, and the process goes on", async ({ url }) => {
  const project = await install("partial", packed.node.tarball);
  copyFileSync(join(here, "app.cjs"), join(project, "app.cjs"));
  const error = await command(project, process.execPath, "app.cjs", url).then(
    () => assert.fail("it connects"),
    ({ message }) => message,
  );
  assert.match(error, new RegExp(`native module of @hubwire/node for ${platform()} cannot be loaded`));
  assert.match(error, new RegExp(`Cannot find module '@hubwire/${native}'`));
  const survives = "require('@hubwire/node');try{new (require('@hubwire/node').HubConnectionBuilder)().withUrl('http://x').build()}catch{}";
  assert.equal(await command(project, process.execPath, "-e", `${survives};console.log('here')`), "here\n");
});

for (const [type, file] of [
  ["module", "consumer.mts"],
  ["commonjs", "consumer.cts"],
]) {
  test(`has types that hold in a strict project of ${type === "module" ? "ESM" : "CommonJS"}`, async () => {
    const project = join(folder, "whole");
    copyFileSync(join(here, "consumer.ts"), join(project, file));
    const compilerOptions = {
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      skipLibCheck: false,
      target: "ES2022",
      module: "NodeNext",
      moduleResolution: "NodeNext",
      // Without the types of browsers.
      lib: ["ES2022"],
      types: ["node"],
      typeRoots: [join(root, "node_modules/@types")],
      noEmit: true,
      // `import` in a file of CommonJS.
      verbatimModuleSyntax: false,
    };
    writeFileSync(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions, files: [file] }));
    await command(project, join(root, "node_modules/.bin/tsc"), "--project", "tsconfig.json");
  });
}

/** A project that has installed these, as it would be after `npm install` from a registry. */
async function install(name, ...tarballs) {
  const project = join(folder, name);
  mkdirSync(project);
  writeFileSync(join(project, "package.json"), JSON.stringify({ name, version: "1.0.0", private: true }));
  // Nothing is fetched: optional dependencies that cannot be had are those that npm does without.
  await command(project, "npm", "install", "--offline", "--no-audit", "--no-fund", ...tarballs);
  return project;
}

const manifest = (name) => JSON.parse(readFileSync(join(root, "build/npm", name, "package.json"), "utf8"));
const kilobytes = (bytes) => Math.round(bytes / 1_000);

/** Runs a program to its end; its output is in the error when it fails. */
function command(cwd, program, ...args) {
  return new Promise((resolve, reject) => {
    execFile(program, args, { cwd, timeout: 120_000, maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      if (error) reject(new Error(`${program} ${args.join(" ")}: ${`${stdout}\n${stderr}`.trim() || error.message}`.slice(0, 3_000)));
      else resolve(stdout);
    });
  });
}

let failed = 0;
const server = await Server.start(options.server, "http://127.0.0.1");
for (const { name, run } of tests) {
  // Each needs what the first ones have made.
  if (!name.includes(options.only) && !name.startsWith("packs")) continue;
  const started = Date.now();
  let text = "";
  try {
    await run(server);
  } catch (error) {
    failed += 1;
    text = `: ${String(error.message ?? error).replaceAll(/\s+/g, " ")}`;
  }
  console.log(`${text ? "fail" : "pass"}  packaging > ${name}${text}  (${Date.now() - started} ms)`);
}
await server.stop();
process.exit(failed > 0 ? 1 : 0);
