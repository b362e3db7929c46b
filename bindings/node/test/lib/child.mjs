// Runs the tests of one file, in a process of its own: FILE SERVER PROXY ONLY. Says to the runner what happens.
import { basename } from "node:path";
import { pathToFileURL } from "node:url";
import { leaveOut } from "./absent.mjs";
import { World } from "./world.mjs";

const [file, server, proxy, only] = process.argv.slice(2);
const say = (message) => new Promise((resolve) => process.send(message, resolve));

const world = await World.start({ server, proxy });
world.programs = { server, proxy };
globalThis.__world = world;
world.stray.watch();

const { suite, turn } = await import("./harness.mjs");
await import(pathToFileURL(file));
leaveOut(basename(file), suite.tests);
await suite.run((result) => say({ report: result }), {
  only,
  before: (name, timeout) => say({ begin: name, timeout }),
  after: () => world.restore(),
  stray: async () => {
    // Rejections that nobody handles are told after the turn in which they happen.
    await turn();
    return world.stray.take();
  },
});
await world.stop();
const stray = world.stray.take();
await say({ end: suite.tests.length === 0 ? "it has no tests" : stray.join("; ") });
// Nothing of the tests is left that keeps this process alive: the runner waits for its end.
process.disconnect();
