import type { BackendConnection, BackendCallOptions, CallKind, Fault } from "./backend.js";
import { AbortError, toError, type HubError } from "./errors.js";
import { Uploads } from "./uploads.js";

/** What waits for the end of a call. */
export interface Pending {
  /** Undefined value and error: it ended without a result. */
  end(error: HubError | undefined, value: unknown): void;
  item?(item: unknown): void;
  queued?(): void;
}

interface Entry {
  readonly pending: Pending;
  readonly kind: CallKind;
  readonly uploads: readonly number[];
  readonly signal: AbortSignal | undefined;
  readonly onAbort: (() => void) | undefined;
}

const NONE: readonly number[] = [];

/** The calls that have not ended, by id. */
export class Calls {
  readonly #backend: BackendConnection;
  readonly #uploads: Uploads;
  readonly #entries = new Map<number, Entry>();
  #lastId = 0;

  constructor(backend: BackendConnection) {
    this.#backend = backend;
    this.#uploads = new Uploads(backend);
  }

  /** How many have not ended. */
  get size(): number {
    return this.#entries.size;
  }

  /** Makes a call and returns its id. Throws what encoding throws; `pending` hears nothing then. */
  make(
    kind: CallKind,
    target: string,
    args: readonly unknown[],
    pending: Pending,
    options?: BackendCallOptions,
    signal?: AbortSignal,
  ): number {
    const call = this.#nextId();
    let uploads = NONE;
    if (Uploads.has(args)) {
      args = [...args];
      uploads = this.#uploads.take(args as unknown[], () => this.#nextId());
    }
    const onAbort = signal && (() => this.#backend.cancel(call));
    this.#entries.set(call, { pending, kind, uploads, signal, onAbort });
    signal?.addEventListener("abort", onAbort!);
    try {
      this.#backend.call(call, kind, target, args, uploads, options);
    } catch (error) {
      this.#forget(call, true);
      throw error;
    }
    return call;
  }

  /** A call that the store brought back. */
  restore(call: number, pending: Pending): void {
    this.#entries.set(call, { pending, kind: "send", uploads: NONE, signal: undefined, onAbort: undefined });
  }

  cancel(call: number): void {
    if (this.#entries.has(call)) {
      this.#backend.cancel(call);
    }
  }

  completed(call: number, fault: Fault | undefined, value: unknown): void {
    const entry = this.#forget(call, !!fault);
    if (entry) {
      const error = fault && toError(fault);
      if (error instanceof AbortError && entry.signal?.aborted) {
        error.cause = entry.signal.reason;
      }
      entry.pending.end(error, value);
    }
  }

  /** Ends them all. */
  end(fault: Fault): void {
    for (const call of [...this.#entries.keys()]) {
      this.completed(call, fault, undefined);
    }
  }

  item(call: number, item: unknown): void {
    this.#entries.get(call)?.pending.item?.(item);
  }

  queued(call: number): void {
    this.#entries.get(call)?.pending.queued?.();
  }

  uploadStarted(upload: number): void {
    this.#uploads.start(upload);
  }

  uploadStopped(upload: number): void {
    this.#uploads.stop([upload]);
  }

  #forget(call: number, failed: boolean): Entry | undefined {
    const entry = this.#entries.get(call);
    if (entry) {
      this.#entries.delete(call);
      // What was only sent may still be uploading.
      if (failed || entry.kind !== "send") {
        this.#uploads.stop(entry.uploads);
      }
      if (entry.onAbort) {
        entry.signal?.removeEventListener("abort", entry.onAbort);
      }
    }
    return entry;
  }

  #nextId(): number {
    return ++this.#lastId;
  }
}

/** The end of a call whose signal was aborted before it was made. */
export const refusal = (signal: AbortSignal): AbortError => {
  const error = new AbortError();
  error.cause = signal.reason;
  return error;
};
