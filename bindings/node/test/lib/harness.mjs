// What test files import, those of the browser package included: the controls, as far as Node has them.
import { Suite } from "../../../web/test/lib/suite.mjs";
import { remote } from "./remote.mjs";

export { assert, Events, fail, show, within } from "../../../web/test/lib/assert.mjs";

const world = globalThis.__world;
export const suite = new Suite();
export const { describe, test } = suite;

export const harness = {
  /** `url` is that of the hub, without the proxy; `kill`, `stop`, `restart`. */
  server: world.server,
  /** `url` is that of the hub through the proxy. `programs.mjs` says what each does. */
  proxy: world.proxy,
  /** A token for this user. */
  token: async (user, claims) => world.token(user, claims),
  /** Texts in the console that are as they should be, until the end of the test. */
  expectError: async (pattern) => world.stray.expect(pattern.source),
  /** Collects garbage, and gives `{ objects, buffers, resident }` in bytes. */
  memory: async () => {
    await collect();
    const { heapUsed, arrayBuffers, rss } = process.memoryUsage();
    return { objects: heapUsed, buffers: arrayBuffers, resident: rss };
  },
  /** A worker thread: `run(action, argument)` runs `action(package, argument)` there. */
  worker: remote,
  /** The programs, for processes that a test starts. */
  programs: world.programs,
};

/** Finalizers run in turns of their own, and let go of more. */
export async function collect() {
  for (let i = 0; i < 3; i++) {
    globalThis.gc();
    await turn();
  }
}

/** The next turn of the event loop. */
export const turn = () => new Promise((resolve) => setImmediate(resolve));
