// The packages as they are published, in build/npm: `node`, with JavaScript and types only, and `node-<platform>` for each native
// module that is in dist. `node` names all of them as optional dependencies, of which npm installs the one that fits.
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { PLATFORMS } from "./platforms.mjs";

const folder = join(dirname(fileURLToPath(import.meta.url)), "..");
const npm = join(folder, "build/npm");
const { devDependencies, scripts, ...shipped } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
const write = (file, value) => writeFileSync(file, `${JSON.stringify(value, null, 2)}\n`);

rmSync(npm, { recursive: true, force: true });
mkdirSync(join(npm, "node"), { recursive: true });
cpSync(join(folder, "dist"), join(npm, "node/dist"), { recursive: true, filter: (file) => !file.endsWith(".node") });
copyFileSync(join(folder, "README.md"), join(npm, "node/README.md"));
const optional = Object.keys(PLATFORMS).map((name) => [`@hubwire/node-${name}`, shipped.version]);
write(join(npm, "node/package.json"), { ...shipped, optionalDependencies: Object.fromEntries(optional) });

const modules = readdirSync(join(folder, "dist")).filter((file) => file.endsWith(".node"));
for (const file of modules) {
  const name = /^hubwire\.(.+)\.node$/.exec(file)?.[1];
  const platform = PLATFORMS[name];
  if (!platform) throw new Error(`${file} is for no platform that is published`);
  const into = join(npm, `node-${name}`);
  mkdirSync(into);
  copyFileSync(join(folder, "dist", file), join(into, file));
  for (const license of ["LICENSE-APACHE", "LICENSE-MIT"]) copyFileSync(join(folder, "../..", license), join(into, license));
  const { version, license, repository, engines } = shipped;
  write(join(into, "package.json"), {
    name: `@hubwire/node-${name}`,
    version,
    description: `The native module of @hubwire/node for ${name}`,
    license,
    repository,
    engines,
    os: [platform.os],
    cpu: [platform.cpu],
    ...(platform.libc && { libc: [platform.libc] }),
    main: file,
    // Of these npm adds none by itself: their names are not LICENSE.
    files: [file, "LICENSE-*"],
  });
}
if (modules.length === 0 || !existsSync(join(npm, "node/dist/all.cjs"))) throw new Error("dist is not built: cargo xtask node");
console.log(["node", ...modules.map((file) => `node-${/^hubwire\.(.+)\.node$/.exec(file)[1]}`)].join("\n"));
