import { HubError } from "./errors.js";
import type { IStreamResult, IStreamSubscriber, ISubscription } from "./subject.js";

/** How many items of a stream wait for a reader at most. */
export const STREAM_BUFFER = 10_000;

/** What a stream needs of its connection. */
export interface StreamControl {
  /** Nobody wants more items. */
  cancel(): void;
  /** A subscriber threw that. */
  failed(error: unknown): void;
}

/**
 * The items that a hub method streams: subscribe to them, or read them with `for await`.
 *
 * Items that come before there is a reader wait for the first one, as those do that a `for await` has not got to yet:
 * at most 10,000, unless `bufferSize` says otherwise. With more, the stream fails with the kind `Overflow` and is
 * cancelled on the server. Leaving the loop, and disposing the last subscription, cancel it, too.
 */
export class HubStream<T> implements IStreamResult<T>, AsyncIterable<T> {
  readonly #control: StreamControl;
  readonly #limit: number;
  #observers: readonly IStreamSubscriber<T>[] = [];
  #queue: T[] = [];
  /** A loop reads the queue; else subscribers do. */
  #iterated = false;
  #flushing = false;
  #ended = false;
  #error: Error | undefined;
  #wake: (() => void) | undefined;

  /** For connections. */
  constructor(control: StreamControl, limit = STREAM_BUFFER) {
    this.#control = control;
    this.#limit = limit;
  }

  subscribe(subscriber: IStreamSubscriber<T>): ISubscription<T> {
    this.#observers = [...this.#observers, subscriber];
    if (!this.#iterated && !this.#flushing && (this.#queue.length || this.#ended)) {
      // Not before the caller has the subscription.
      this.#flushing = true;
      queueMicrotask(() => this.#flush());
    }
    return {
      dispose: () => {
        const before = this.#observers;
        this.#observers = before.filter((other) => other !== subscriber);
        if (before.length && !this.#observers.length && !this.#iterated) {
          this.#abandon();
        }
      },
    };
  }

  /** Reads the items. Only one loop at a time gets them all. */
  [Symbol.asyncIterator](): AsyncIterator<T, undefined> {
    this.#iterated = true;
    return {
      next: async () => {
        while (!this.#queue.length) {
          if (this.#ended) {
            const error = this.#error;
            // Told once; the iterator is done then.
            this.#error = undefined;
            if (error) {
              throw error;
            }
            return { done: true, value: undefined };
          }
          await new Promise<void>((resolve) => {
            const before = this.#wake;
            this.#wake = () => (before?.(), resolve());
          });
        }
        return { done: false, value: this.#queue.shift() as T };
      },
      return: async () => {
        this.#queue = [];
        this.#abandon();
        this.#awake();
        return { done: true, value: undefined };
      },
    };
  }

  /** @internal An item came. */
  push(item: T): void {
    if (this.#ended) {
      return;
    }
    const live = this.#observers.length && !this.#flushing;
    if (live) {
      this.#tell((observer) => observer.next(item));
    }
    if (!live || this.#iterated) {
      if (this.#queue.length >= this.#limit) {
        this.#control.cancel();
        this.end(new HubError("Overflow", `More than ${this.#limit} items of the stream wait for a reader.`));
        return;
      }
      this.#queue.push(item);
      this.#awake();
    }
  }

  /** @internal The stream is over. */
  end(error: Error | undefined): void {
    if (this.#ended) {
      return;
    }
    this.#ended = true;
    this.#error = error;
    this.#awake();
    if (!this.#flushing) {
      this.#tellEnd();
    }
  }

  /** Gives the first subscribers what came before them. */
  #flush(): void {
    while (this.#queue.length && this.#observers.length) {
      const item = this.#queue.shift() as T;
      this.#tell((observer) => observer.next(item));
    }
    this.#flushing = false;
    if (this.#ended) {
      this.#tellEnd();
    }
  }

  #tellEnd(): void {
    const error = this.#error;
    this.#tell((observer) => (error ? observer.error?.(error) : observer.complete?.()));
    this.#observers = [];
  }

  #tell(call: (observer: IStreamSubscriber<T>) => void): void {
    for (const observer of this.#observers) {
      try {
        call(observer);
      } catch (error) {
        this.#control.failed(error);
      }
    }
  }

  #abandon(): void {
    if (!this.#ended) {
      this.#ended = true;
      this.#control.cancel();
    }
  }

  #awake(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}
