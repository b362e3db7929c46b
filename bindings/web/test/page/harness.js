// What tests in a page import. The controls of server, proxy and browser are in Node; `control` asks for them.
import { Suite } from "/test/lib/suite.mjs";

export { assert, Events, within } from "/test/lib/assert.mjs";

const control = (command, ...args) => globalThis.__control(command, args);
const suite = new Suite();
export const { describe, test } = suite;
const info = await control("info");

/** @param {string} area @param {string[]} names */
const controls = (area, names) =>
  Object.fromEntries(names.map((name) => [name, (...args) => control(`${area}.${name}`, ...args)]));

/** The memories of WebAssembly modules, which the browser does not tell of. */
const memories = [];
for (const name of ["instantiate", "instantiateStreaming"]) {
  const original = WebAssembly[name];
  WebAssembly[name] = async (...args) => {
    const result = await original.apply(WebAssembly, args);
    const { exports } = result.instance ?? result;
    memories.push(...Object.values(exports).filter((value) => value instanceof WebAssembly.Memory));
    return result;
  };
}

export const harness = {
  /** `url` is that of the hub, without the proxy. */
  server: { url: info.serverUrl, ...controls("server", ["kill", "stop", "restart"]) },
  /** `url` is that of the hub through the proxy. `programs.mjs` says what each does. */
  proxy: {
    url: info.proxyUrl,
    ...controls("proxy", ["cut", "reset", "block", "unblock", "halfOpen", "faults", "status"]),
  },
  /** What navigator.onLine says, and its events. */
  offline: (is) => control("offline", is),
  /** Puts another page in front of this one, and takes it away. */
  hide: () => control("hide"),
  show: () => control("show"),
  /** Hides and freezes this page, carries out the commands (`["proxy.cut"], ["server.restart"]`), and goes on. */
  freeze: (...commands) => control("freeze", commands),
  /** Collects garbage, and gives `{ objects, buffers, wasm }` in bytes. */
  memory: async () => ({
    ...(await control("memory")),
    wasm: memories.reduce((sum, { buffer }) => sum + buffer.byteLength, 0),
  }),
  /** A token for this user. */
  token: (user, claims) => control("token", user, claims),
  /** Texts in the console that are as they should be, until the end of the test. */
  expectError: (pattern) => control("expectError", pattern.source),
  newPage,
  worker,
  serviceWorker,
};

/** Another page of the same origin, behind this one. Functions that it runs must refer to nothing around them. */
async function newPage() {
  const id = await control("page.open");
  return {
    run: (action, argument) => control("page.run", id, String(action), argument),
    ...Object.fromEntries(
      ["reload", "show", "freeze", "unfreeze", "close", "back", "leave"].map((name) => [
        name,
        () => control(`page.${name}`, id),
      ]),
    ),
  };
}

/** A dedicated worker: `run(action, argument)` runs `action(package, argument)` there. */
function worker() {
  const worker = new Worker("/test/page/worker.js", { type: "module" });
  const failed = new Promise((_, reject) => {
    worker.onerror = (event) => reject(new Error(`the worker failed: ${event.message ?? "its script does not load"}`));
  });
  failed.catch(() => {});
  return { ...remote((message, port) => worker.postMessage(message, [port]), failed), close: () => worker.terminate() };
}

/** The same for a service worker. */
async function serviceWorker() {
  const registration = await navigator.serviceWorker.register("/test/page/service-worker.js", {
    type: "module",
    scope: "/test/page/",
  });
  const active = registration.active ?? (await activated(registration.installing ?? registration.waiting));
  const never = new Promise(() => {});
  return {
    ...remote((message, port) => active.postMessage(message, [port]), never),
    close: () => registration.unregister(),
  };
}

function activated(worker) {
  return new Promise((resolve, reject) => {
    const look = () => {
      if (worker.state === "activated") resolve(worker);
      if (worker.state === "redundant") reject(new Error("the service worker was given up: its script fails"));
    };
    worker.addEventListener("statechange", look);
    look();
  });
}

function remote(post, failed) {
  return {
    run(action, argument) {
      const { port1, port2 } = new MessageChannel();
      const answered = new Promise((resolve, reject) => {
        port1.onmessage = ({ data: { error, value } }) =>
          error === undefined ? resolve(value) : reject(new Error(error));
      });
      post({ source: String(action), argument }, port2);
      return Promise.race([answered, failed]).finally(() => port1.close());
    },
  };
}

/** Runs the tests of a file; for the runner. */
export async function run(file, only) {
  await import(file);
  await suite.run((result) => control("report", result), {
    only,
    before: (name, timeout) => control("begin", name, timeout),
    after: () => control("restore"),
    stray: async () => {
      // Rejections that nobody handles are told after the task in which they happen.
      await new Promise((resolve) => {
        const { port1, port2 } = new MessageChannel();
        port1.onmessage = () => (port1.close(), resolve());
        port2.postMessage(0);
      });
      return control("stray");
    },
  });
  if (suite.tests.length === 0) throw new Error("it has no tests");
  return (await globalThis.__hubwireLeaks?.()) ?? "";
}
