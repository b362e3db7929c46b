// Runs on the thread of Node's module loader.
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const file = (path) => new URL(path, import.meta.url).href;

const FILES = {
  "/dist/index.js": file("../../dist/index.mjs"),
  "/dist/hubs.js": file("../../dist/hubs.mjs"),
  "/dist/msgpack.js": file("../../dist/msgpack.mjs"),
  "/test/page/hubwire.js": file("./hubwire.mjs"),
  "/test/page/harness.js": file("./harness.mjs"),
};
const PACKAGES = {
  "/official/signalr.js": "@microsoft/signalr",
  "/official/signalr-msgpack.js": "@microsoft/signalr-protocol-msgpack",
};
const SHARED = "/test/";

export async function resolve(specifier, context, next) {
  if (FILES[specifier]) return { url: FILES[specifier], shortCircuit: true };
  if (PACKAGES[specifier]) return next(PACKAGES[specifier], { ...context, parentURL: `file://${here}/resolve.mjs` });
  if (specifier.startsWith(SHARED)) {
    return { url: file(`../../../web/test/${specifier.slice(SHARED.length)}`), shortCircuit: true };
  }
  return next(specifier, context);
}
