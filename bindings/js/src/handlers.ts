import type { Reply } from "./backend.js";
import { reasonOf, textOf } from "./errors.js";
import { LogLevel, type ILogger } from "./logging.js";

export type Handler = (...args: any[]) => any;

/** How a message went: what is answered to the server, and whether it was handled. */
export interface Answers {
  reply(reply: number, answer: Reply): void;
  handled(delivery: number, reason: string | undefined): void;
}

/** How many spellings of names are remembered: they come from outside. */
const SPELLINGS = 1_000;

interface Entry {
  /** Replaced, never changed: handlers may register and remove handlers. */
  list: readonly Handler[];
}

/** What the application does with messages of the server, by name. The case of names does not matter. */
export class Handlers {
  readonly #logger: ILogger;
  readonly #entries = new Map<string, Entry>();
  /** The same by the names as they come, so that they are not folded for every message. */
  readonly #spellings = new Map<string, Entry>();

  constructor(logger: ILogger) {
    this.#logger = logger;
  }

  /** How many names have handlers. */
  get size(): number {
    return this.#entries.size;
  }

  on(name: string, handler: Handler): void {
    if (!name || !handler) {
      return;
    }
    name = name.toLowerCase();
    const entry = this.#entries.get(name);
    if (!entry) {
      this.#entries.set(name, { list: [handler] });
    } else if (!entry.list.includes(handler)) {
      entry.list = [...entry.list, handler];
    }
  }

  off(name: string, handler: Handler | undefined): void {
    name = name?.toLowerCase();
    const entry = this.#entries.get(name);
    if (entry) {
      entry.list = handler ? entry.list.filter((other) => other !== handler) : [];
      if (!entry.list.length) {
        this.#entries.delete(name);
        this.#spellings.clear();
      }
    }
  }

  /** Runs the handlers of one message, in order, with `self` as `this`; one that throws does not stop the others. */
  run(
    self: unknown,
    target: string,
    args: unknown[],
    reply: number | undefined,
    delivery: number | undefined,
    answers: Answers,
  ): void {
    const list = this.#find(target)?.list;
    // Most applications want objects and not their changes.
    if (!list && !target.endsWith("Delta")) {
      this.#log(LogLevel.Warning, `No client method with the name '${target.toLowerCase()}' found.`);
    }
    let results: unknown[] | undefined;
    let failure: string | undefined = list ? undefined : `No handler is registered for '${target}'.`;
    for (const handler of list ?? []) {
      let result: unknown;
      // Only what has to be waited for or answered is kept.
      let kept = reply !== undefined;
      try {
        result = handler.apply(self, args);
        kept ||= typeof (result as PromiseLike<unknown> | undefined)?.then === "function";
      } catch (error) {
        failure ??= reasonOf(error);
        result = this.#failed(target, error, reply);
      }
      if (kept) {
        (results ??= []).push(result);
      }
    }
    if (!results && reply === undefined) {
      if (delivery !== undefined) {
        answers.handled(delivery, failure);
      }
      return;
    }
    void this.#settle(target, results ?? [], failure, reply, delivery, answers);
  }

  /** Waits for handlers and says what came of them. */
  async #settle(
    target: string,
    results: readonly unknown[],
    failure: string | undefined,
    reply: number | undefined,
    delivery: number | undefined,
    answers: Answers,
  ): Promise<void> {
    let value: unknown;
    let several = false;
    let thrown: { error: unknown } | undefined;
    for (const result of results) {
      try {
        // Proxies may throw for anything.
        if (result instanceof Thrown) {
          thrown = result;
          continue;
        }
        const before = value;
        value = await result;
        several ||= !!(before && value);
        // A result counts more than what another handler threw before.
        thrown = undefined;
      } catch (error) {
        failure ??= reasonOf(error);
        thrown = { error };
        this.#failed(target, error, reply);
      }
    }
    if (reply !== undefined) {
      let answer: Reply = { type: "noHandler" };
      if (several) {
        answer = { type: "manyHandlers" };
        this.#log(LogLevel.Error, `Multiple results provided for '${target}'. Sending error to server.`);
      } else if (thrown) {
        answer = { type: "error", text: textOf(thrown.error) };
      } else if (value !== undefined) {
        answer = { type: "value", value };
      } else {
        this.#log(LogLevel.Warning, `No result given for '${target}'.`);
      }
      this.#answer(
        target,
        () => answers.reply(reply, answer),
        (text) => answers.reply(reply, { type: "error", text }),
      );
    }
    if (delivery !== undefined) {
      answers.handled(delivery, failure);
    }
  }

  /** A result may be something that cannot be encoded. */
  #answer(target: string, answer: () => void, instead: (text: string) => void): void {
    try {
      answer();
    } catch (error) {
      this.#failed(target, error, undefined);
      instead(textOf(error));
    }
  }

  #find(target: string): Entry | undefined {
    let entry = this.#spellings.get(target);
    if (!entry) {
      entry = this.#entries.get(target.toLowerCase());
      if (entry) {
        if (this.#spellings.size >= SPELLINGS) {
          this.#spellings.clear();
        }
        this.#spellings.set(target, entry);
      }
    }
    return entry;
  }

  #failed(target: string, error: unknown, reply: number | undefined): Thrown | undefined {
    this.#log(LogLevel.Error, `A callback for the method '${target.toLowerCase()}' threw error '${textOf(error)}'.`);
    return reply === undefined ? undefined : new Thrown(error);
  }

  #log(level: LogLevel, text: string): void {
    this.#logger.log(level, text);
  }
}

/** A handler threw, where that is an answer. */
class Thrown {
  constructor(readonly error: unknown) {}
}
