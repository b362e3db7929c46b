/** What waits for a connection, the calls included that the native module has not got to yet. */

import type { OutboxProgress } from "../../js/src/backend.js";

/** Applications ask for the outbox right after a call: it is in it by then. */
export class Outbox {
  readonly #tell: (outbox: OutboxProgress) => void;
  /** Calls that will wait, with their bytes, until it is known what became of them. */
  readonly #unheard = new Map<number, number>();
  #unheardBytes = 0;
  #known: OutboxProgress = { depth: 0, bytes: 0, oldestAge: null };
  #told: OutboxProgress = this.#known;

  constructor(tell: (outbox: OutboxProgress) => void) {
    this.#tell = tell;
  }

  /** A call was made that has nowhere to go. */
  add(call: number, bytes: number): void {
    this.#unheard.set(call, bytes);
    this.#unheardBytes += bytes;
    this.#update();
  }

  /** The native module has it, or it has ended. What that changes may come next. */
  heard(call: number): void {
    const bytes = this.#unheard.get(call);
    if (bytes !== undefined) {
      this.#unheard.delete(call);
      this.#unheardBytes -= bytes;
      queueMicrotask(() => this.#update());
    }
  }

  /** There is a connection: what waits is on its way. */
  connected(): void {
    this.#unheard.clear();
    this.#unheardBytes = 0;
    this.#update();
  }

  /** The native module says how much waits. */
  set(known: OutboxProgress): void {
    this.#known = known;
    this.#update();
  }

  #update(): void {
    const known = this.#known;
    const [depth, bytes] = [known.depth + this.#unheard.size, known.bytes + this.#unheardBytes];
    const oldestAge = this.#unheard.size > 0 ? (known.oldestAge ?? 0) : known.oldestAge;
    const { depth: before, bytes: bytesBefore } = this.#told;
    if (depth !== before || bytes !== bytesBefore) {
      this.#told = { depth, bytes, oldestAge };
      this.#tell(this.#told);
    }
  }
}
