// Assertions and waiting, for pages, workers and Node alike.

export class AssertionError extends Error {
  name = "AssertionError";
}

export function fail(text) {
  throw new AssertionError(text);
}

export const assert = {
  ok(value, text = `${show(value)} is not true`) {
    if (!value) fail(text);
  },
  equal(actual, expected, text = "different") {
    if (!Object.is(actual, expected)) fail(`${text}: got ${show(actual)}, expected ${show(expected)}`);
  },
  deepEqual(actual, expected, text = "different") {
    if (!same(actual, expected)) fail(`${text}: got ${show(actual)}, expected ${show(expected)}`);
  },
  match(text, pattern) {
    if (!pattern.test(text)) fail(`${show(text)} does not match ${pattern}`);
  },
  throws(action, pattern) {
    let value;
    try {
      value = action();
    } catch (error) {
      return checked(error, pattern);
    }
    return fail(`nothing was thrown; the result is ${show(value)}`);
  },
  /** Gives the error back. */
  async rejects(promise, pattern) {
    let value;
    try {
      value = await (typeof promise === "function" ? promise() : promise);
    } catch (error) {
      return checked(error, pattern);
    }
    return fail(`it was not rejected; the result is ${show(value)}`);
  },
};

function checked(error, pattern) {
  const text = error?.message ?? String(error);
  if (pattern && !pattern.test(text)) fail(`the error is ${show(text)}, which does not match ${pattern}`);
  return error;
}

function same(a, b) {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (a instanceof Date && b instanceof Date) return a.getTime() === b.getTime();
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  if (ArrayBuffer.isView(a)) return a.length === b.length && a.every((value, at) => value === b[at]);
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && same(a[key], b[key]));
}

export function show(value) {
  if (value instanceof Error) return `${value.name}: ${value.message}`;
  if (typeof value === "bigint") return `${value}n`;
  try {
    const text =
      JSON.stringify(value, (_, inner) => (typeof inner === "bigint" ? `${inner}n` : inner)) ?? String(value);
    return text.length > 400 ? `${text.slice(0, 400)}… (${text.length} characters)` : text;
  } catch {
    return String(value);
  }
}

/** What is being waited for, to be named when a test takes too long. */
export const waits = new Set();

/** `promise`, or an error that says what was waited for. */
export async function within(what, promise, milliseconds = 10_000) {
  const wait = { what };
  waits.add(wait);
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new AssertionError(`${what}: not within ${milliseconds / 1000} s`)), milliseconds);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
    waits.delete(wait);
  }
}

/** What came, in order, and a way to wait for what is to come. */
export class Events {
  all = [];
  #taken = 0;
  #waiting = new Set();

  /** To be given as a handler; several arguments become an array. */
  push = (...values) => {
    this.all.push(values.length > 1 ? values : values[0]);
    for (const look of [...this.#waiting]) look();
  };

  /** The next one that `next` has not given yet. */
  async next(what = "an event", milliseconds) {
    await this.count(this.#taken + 1, what, milliseconds);
    return this.all[this.#taken++];
  }

  /** Waits until there are that many. */
  async count(number, what = `${number} events`, milliseconds) {
    await this.until(() => this.all.length >= number, what, milliseconds).catch((error) => {
      throw new AssertionError(`${error.message} (there are ${this.all.length}: ${show(this.all.slice(-10))})`);
    });
    return this.all;
  }

  /** Waits until the condition holds; it is asked after each event. */
  async until(condition, what = "events", milliseconds) {
    if (condition(this.all)) return;
    let look;
    const seen = new Promise((resolve, reject) => {
      look = () => {
        try {
          if (condition(this.all)) resolve();
        } catch (error) {
          reject(error);
        }
      };
    });
    this.#waiting.add(look);
    try {
      await within(what, seen, milliseconds);
    } finally {
      this.#waiting.delete(look);
    }
  }
}
