import { textOf } from "./errors.js";
import { LogLevel, type ILogger } from "./logging.js";
import type { Unsubscribe } from "./options.js";

/** Functions that want to hear of something, by what it is. One that throws does not keep the others from it. */
export class Emitter {
  readonly #logger: ILogger;
  readonly #listeners = new Map<string, readonly ((...values: any[]) => unknown)[]>();

  constructor(logger: ILogger) {
    this.#logger = logger;
  }

  add(name: string, listener: (...values: any[]) => unknown): Unsubscribe {
    // A function of its own, so that what is registered twice is removed once.
    const entry = function (this: unknown, ...values: unknown[]): unknown {
      return listener.apply(this, values);
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

  emit(name: string, self: unknown, ...values: unknown[]): void {
    for (const listener of this.#listeners.get(name) ?? []) {
      try {
        listener.apply(self, values);
      } catch (error) {
        this.#logger.log(LogLevel.Error, `An ${name} callback called with '${values.map(textOf)}' threw error '${textOf(error)}'.`);
      }
    }
  }
}
