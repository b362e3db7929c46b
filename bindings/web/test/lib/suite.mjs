// Tests by name, one after another, each with a deadline. The same in pages and in Node.
import { show, waits } from "./assert.mjs";

const DEADLINE = 30_000;

/** Registers tests. */
export class Suite {
  tests = [];
  #path = [];

  describe = (name, define) => {
    this.#path.push(name);
    define();
    this.#path.pop();
  };

  /** `options`: `timeout` in milliseconds, `skip` with the reason. */
  test = (name, run, options = {}) => {
    this.tests.push({ name: [...this.#path, name].join(" > "), run, ...options });
  };

  /**
   * Runs them. `report` gets `{ name, outcome, reason, milliseconds }`. `stray()` gives and forgets the errors that
   * came from outside of any promise of the test.
   */
  async run(report, { only = "", context, stray = () => [], before = async () => {}, after = async () => {} } = {}) {
    for (const test of this.tests.filter(({ name }) => name.includes(only))) {
      const { name, run, skip, timeout = DEADLINE } = test;
      if (skip) {
        await report({ name, outcome: "skip", reason: skip, milliseconds: 0 });
        continue;
      }
      const started = performance.now();
      const cleanups = [];
      let reasons = [];
      try {
        await before(name, timeout);
        await limited(() => run({ ...context, defer: (action) => cleanups.unshift(action) }), timeout);
      } catch (error) {
        reasons.push(described(error));
      }
      for (const cleanup of [...cleanups, after]) {
        await limited(cleanup, timeout).catch((error) => reasons.push(`afterwards: ${described(error)}`));
      }
      reasons.push(...(await stray()));
      const milliseconds = Math.round(performance.now() - started);
      await report({ name, outcome: reasons.length > 0 ? "fail" : "pass", reason: reasons.join("; "), milliseconds });
    }
  }
}

async function limited(action, milliseconds) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => {
      const pending = [...waits].map(({ what }) => what);
      const still = pending.length > 0 ? `, waiting for: ${pending.join(", ")}` : "";
      reject(new Error(`not done within ${milliseconds / 1000} s${still}`));
    }, milliseconds);
  });
  try {
    await Promise.race([Promise.resolve().then(action), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** With the line of the test where it went wrong. */
function described(error) {
  if (!(error instanceof Error)) return show(error);
  const place = error.stack?.split("\n").find((line) => /\.test\.mjs|scenarios\//.test(line));
  const text = error.name === "AssertionError" ? error.message : `${error.name}: ${error.message}`;
  return place
    ? `${text} (${place
        .trim()
        .replace(/^at /, "")
        .replace(/https?:\/\/[^/]+\//, "")})`
    : text;
}
