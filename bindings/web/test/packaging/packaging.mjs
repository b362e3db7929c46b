// The packed package, installed into small projects, each built with its bundler and opened in Chromium.
import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { assert } from "../lib/assert.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "../..");
const ECHOED = '{"text":"héllo","list":[1,null]}';

/** What is built how, and which pages it has. */
const PROJECTS = [
  {
    name: "vite",
    build: ["node_modules/vite/bin/vite.js", "build", "--logLevel", "warn"],
    pages: ["dist/index.html", "../plain/index.html"],
  },
  { name: "webpack", build: ["build.mjs"], pages: ["index.html"] },
  { name: "esbuild", build: ["build.mjs"], pages: ["inline.html", "copied.html"] },
];

export default ({ test }) => {
  const folder = mkdtempSync(join(tmpdir(), "hubwire-pack-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  let tarball;

  test("packs what is needed and nothing else", async () => {
    const [packed] = JSON.parse(await command(root, "npm", "pack", "--json", "--pack-destination", folder));
    tarball = join(folder, packed.filename);
    const files = packed.files.map(({ path }) => path);
    const odd = files.filter(
      (path) => !/^(package\.json|README\.md|dist\/(LICENSE-\w+|[\w-]+\.(js|wasm)|types\/[\w/-]+\.d\.ts))$/i.test(path),
    );
    assert.deepEqual(odd, [], "files that do not belong there");
    for (const name of ["index.js", "inline.js", "msgpack.js", "hubs.js", "hubwire_web_bg.wasm"]) {
      assert.ok(files.includes(`dist/${name}`), `dist/${name} is missing`);
    }
  });

  for (const { name, build, pages } of PROJECTS) {
    const project = join(here, name);
    test(
      `installs and builds with ${name}`,
      async () => {
        assert.ok(tarball, "there is no packed package");
        await command(
          project,
          "npm",
          "install",
          "--no-save",
          "--no-package-lock",
          "--no-audit",
          "--no-fund",
          "--prefer-offline",
          tarball,
        );
        await command(project, process.execPath, ...build);
        const built = readdirSync(join(project, "dist"), { recursive: true });
        assert.ok(
          built.some((file) => file.endsWith(".wasm")),
          `no module among ${built.join(", ")}`,
        );
      },
      { timeout: 180_000 },
    );

    for (const path of pages) {
      test(`connects from ${join(name, path)}`, async ({ world }) => {
        const page = await world.page(`/test/packaging/${name}/${path}?hub=${encodeURIComponent(world.server.url)}`);
        const result = await page.waitForFunction(() => document.documentElement.dataset.result, undefined, {
          polling: 20,
          timeout: 20_000,
        });
        assert.equal(await result.jsonValue(), ECHOED);
      });
    }
  }

  for (const [module, moduleResolution] of [
    ["ESNext", "bundler"],
    ["NodeNext", "NodeNext"],
  ]) {
    test(
      `has types that hold in a strict project, resolved as ${moduleResolution} does`,
      async () => {
        const compilerOptions = {
          strict: true,
          exactOptionalPropertyTypes: true,
          noUncheckedIndexedAccess: true,
          skipLibCheck: false,
          noEmit: true,
          target: "ES2022",
          module,
          moduleResolution,
          lib: ["ES2022", "DOM"],
          types: [],
        };
        const file = join(folder, `${moduleResolution}.json`);
        writeFileSync(file, JSON.stringify({ compilerOptions, files: [join(here, "vite/consumer.ts")] }));
        await command(here, join(root, "node_modules/.bin/tsc"), "--project", file);
      },
      { timeout: 60_000 },
    );
  }
};

/** Runs a program to its end; its output is in the error when it fails. */
function command(cwd, program, ...args) {
  return new Promise((resolve, reject) => {
    execFile(program, args, { cwd, timeout: 170_000, maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      if (error)
        reject(
          new Error(`${program} ${args.join(" ")}: ${`${stdout}\n${stderr}`.trim() || error.message}`.slice(0, 3000)),
        );
      else resolve(stdout);
    });
  });
}
