import { textOf } from "./errors.js";
import { LogLevel, type ILogger } from "./logging.js";
import type { Unsubscribe } from "./options.js";

type Listener = (this: unknown, value: any) => unknown;

/** Functions that want to hear of something, by what it is. One that throws does not keep the others from it. */
export class Emitter {
  readonly #self: unknown;
  readonly #logger: ILogger;
  readonly #listeners = new Map<string, readonly Listener[]>();

  /** Listeners are called with `self` as `this`. */
  constructor(self: unknown, logger: ILogger) {
    this.#self = self;
    this.#logger = logger;
  }

  add(name: string, listener: Listener): Unsubscribe {
    // A function of its own, so that what is registered twice is removed once.
    const entry: Listener = function (value) {
      return listener.call(this, value);
    };
    this.#listeners.set(name, [...(this.#listeners.get(name) ?? []), entry]);
    return () => {
      this.#listeners.set(name, this.#listeners.get(name)?.filter((other) => other !== entry) ?? []);
    };
  }

  /** Whether somebody wants to hear of it. */
  has(name: string): boolean {
    return !!this.#listeners.get(name)?.length;
  }

  emit(name: string, value: unknown): void {
    for (const listener of this.#listeners.get(name) ?? []) {
      try {
        listener.call(this.#self, value);
      } catch (error) {
        const text = `An ${name} callback called with '${textOf(value)}' threw error '${textOf(error)}'.`;
        this.#logger.log(LogLevel.Error, text);
      }
    }
  }
}
