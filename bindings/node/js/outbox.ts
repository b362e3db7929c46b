/** What waits for a connection, the calls included that the native module has not got to yet. */

import type { OutboxProgress } from "../../js/src/backend.js";

/** Applications ask for the outbox right after a call: it is in it by then. */
export class Outbox {
  readonly #tell: (outbox: OutboxProgress) => void;
  /** Calls that will wait, with their bytes, until it is known what became of them. */
  readonly #unheard = new Map<number, number>();
  #known: OutboxProgress = { depth: 0, bytes: 0, oldestAge: null };
  #told: OutboxProgress = this.#known;

  constructor(tell: (outbox: OutboxProgress) => void) {
    this.#tell = tell;
  }

  /** A call was made that has nowhere to go. */
  add(call: number, bytes: number): void {
    this.#unheard.set(call, bytes);
    this.#update();
  }

  /** The native module has it, or it has ended. What that changes may come next. */
  heard(call: number): void {
    if (this.#unheard.delete(call)) {
      queueMicrotask(() => this.#update());
    }
  }

  /** There is a connection: what waits is on its way. */
  connected(): void {
    this.#unheard.clear();
    this.#update();
  }

  /** The native module says how much waits. */
  set(known: OutboxProgress): void {
    this.#known = known;
    this.#update();
  }

  #update(): void {
    let { depth, bytes, oldestAge } = this.#known;
    for (const more of this.#unheard.values()) {
      depth += 1;
      bytes += more;
      oldestAge ??= 0;
    }
    const { depth: before, bytes: bytesBefore } = this.#told;
    if (depth !== before || bytes !== bytesBefore) {
      this.#told = { depth, bytes, oldestAge };
      this.#tell(this.#told);
    }
  }
}
