// Runs one scenario: a deadline, checks that explain themselves, and everything it opened closed at its end.
import { isDeepStrictEqual, inspect } from 'node:util';
import { openHub } from './connect.mjs';

const show = (value) => {
  const text = inspect(value, { depth: 4, breakLength: Infinity, maxStringLength: 120 });
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
};

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

class Scenario {
  #open = [];
  /** What a passing scenario has to tell. */
  notes = [];

  constructor(target) {
    this.target = target;
    this.binary = target.protocol === 'messagepack';
    // Unique names, because all scenarios share one hub.
    this.tag = `${target.protocol}-${target.transport}-${Math.random().toString(36).slice(2, 10)}`;
  }

  /** A started connection; stopped when the scenario ends. */
  async connect(options = {}) {
    const hub = this.prepare(options);
    await hub.start();
    return hub;
  }

  /** A connection that is not started yet. */
  prepare(options = {}) {
    const hub = openHub(this.target, options);
    this.#open.push(() => hub.stop());
    return hub;
  }

  note(text) {
    this.notes.push(text);
  }

  defer(close) {
    this.#open.push(close);
  }

  async close() {
    await Promise.allSettled(this.#open.map((close) => Promise.race([close(), sleep(2000)])));
  }

  equal(got, want, what = 'value') {
    if (!isDeepStrictEqual(got, want)) throw new Error(`${what}: got ${show(got)}, want ${show(want)}`);
  }

  ok(condition, what) {
    if (!condition) throw new Error(what);
  }

  /** The promise must reject; with `text`, with exactly this message. Returns the error. */
  async rejects(promise, text) {
    let value;
    try {
      value = await promise;
    } catch (error) {
      if (text !== undefined) this.equal(error.message, text, 'error text');
      return error;
    }
    throw new Error(`expected an error${text ? ` "${text}"` : ''}, got ${show(value)}`);
  }

  /** Asks `question` until its answer is true. */
  async until(question, what, limit = 5000) {
    const end = Date.now() + limit;
    while (!(await question())) {
      if (Date.now() > end) throw new Error(`not within ${limit} ms: ${what}`);
      await sleep(25);
    }
  }

  /** Collects the calls of a client method. `await calls.reach(n)` waits for n of them. */
  calls(hub, name) {
    const seen = [];
    hub.on(name, (...args) => void seen.push(args.length === 1 ? args[0] : args));
    seen.reach = (n) => this.until(() => seen.length >= n, `${n} calls of ${name} (${seen.length} came)`);
    return seen;
  }

  /** Reads a stream to its end: `{ items, error }`. */
  drain(stream) {
    return new Promise((resolve) => {
      const items = [];
      stream.subscribe({
        next: (item) => items.push(item),
        complete: () => resolve({ items, error: null }),
        error: (error) => resolve({ items, error: error.message }),
      });
    });
  }
}

export async function runScenario(scenario, target) {
  const t = new Scenario(target);
  const started = performance.now();
  const limit = scenario.timeout ?? 15000;
  let timer;
  const deadline = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`timed out after ${limit} ms`)), limit);
  });
  let failure;
  try {
    await Promise.race([scenario.run(t), deadline]);
  } catch (error) {
    failure = error instanceof Error ? error.message : String(error);
  } finally {
    clearTimeout(timer);
    await t.close();
  }
  const milliseconds = Math.round(performance.now() - started);
  if (failure === undefined && t.notes.length > 0) {
    console.log(`${target.protocol}/${target.transport} ${scenario.name}: ${t.notes.join('; ')}`);
  }
  return failure === undefined ? { outcome: 'pass', milliseconds } : { outcome: 'fail', reason: failure, milliseconds };
}
