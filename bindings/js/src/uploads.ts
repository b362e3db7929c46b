import { reasonOf } from "./errors.js";

/** How many items of a subject wait for the call to be sent, at most. */
export const UPLOAD_BUFFER = 10_000;

/** What uploads need of the connection. `item` throws what encoding throws. */
export interface UploadSink {
  uploadItem(upload: number, item: unknown): void | Promise<void>;
  uploadEnd(upload: number, error: string | undefined): void;
}

interface Upload {
  /** The call was sent. */
  start(): void;
  /** Nobody reads it any more. */
  stop(): void;
}

interface Observable {
  subscribe(observer: {
    next(item: unknown): void;
    error(error: unknown): void;
    complete(): void;
  }): { dispose?(): void; unsubscribe?(): void } | undefined;
}

const isObservable = (argument: any): argument is Observable => typeof argument?.subscribe === "function";
const isIterable = (argument: any): argument is AsyncIterable<unknown> =>
  typeof argument?.[Symbol.asyncIterator] === "function";

/** The uploads of a connection that are under way. */
export class Uploads {
  readonly #sink: UploadSink;
  readonly #active = new Map<number, Upload>();

  constructor(sink: UploadSink) {
    this.#sink = sink;
  }

  /** Whether arguments have streams among them, which is rare. */
  static has(args: readonly unknown[]): boolean {
    return args.some((argument) => isObservable(argument) || isIterable(argument));
  }

  /** Takes the streams out of arguments, and gives each the next of the ids. */
  take(args: unknown[], nextId: () => number): number[] {
    const ids: number[] = [];
    for (let index = 0; index < args.length;) {
      const argument = args[index];
      const make = isObservable(argument) ? subscribed : isIterable(argument) ? pulled : undefined;
      if (make) {
        const id = nextId();
        ids.push(id);
        args.splice(index, 1);
        try {
          this.#active.set(
            id,
            make(
              argument as any,
              (item) => this.#sink.uploadItem(id, item),
              (error) => {
                if (this.#active.delete(id)) {
                  this.#sink.uploadEnd(id, error);
                }
              },
            ),
          );
        } catch (error) {
          this.stop(ids);
          throw error;
        }
      } else {
        index++;
      }
    }
    return ids;
  }

  start(upload: number): void {
    this.#active.get(upload)?.start();
  }

  stop(uploads: readonly number[]): void {
    for (const id of uploads) {
      const upload = this.#active.get(id);
      this.#active.delete(id);
      upload?.stop();
    }
  }
}

type Send = (item: unknown) => void | Promise<void>;
type End = (error?: string) => void;

/** Subscribed at once, as such sources drop what nobody listens to; items wait until the call was sent. */
const subscribed = (source: Observable, send: Send, end: End): Upload => {
  let waiting: unknown[] | undefined = [];
  /** What the source ended with. */
  let over: { readonly error: string | undefined } | undefined;
  /** The server was told, or does not care. */
  let told = false;
  let subscription: ReturnType<Observable["subscribe"]>;
  const unsubscribe = (): void => {
    try {
      subscription?.dispose ? subscription.dispose() : subscription?.unsubscribe?.();
    } catch {
      // Nothing is lost by it: what still comes is ignored.
    }
  };
  const tell = (error: string | undefined): void => {
    if (!told) {
      told = true;
      end(error);
    }
  };
  const finish = (error?: string): void => {
    if (!over) {
      over = { error };
      unsubscribe();
      if (!waiting) {
        tell(error);
      }
    }
  };
  const push = (item: unknown): void => {
    if (!told) {
      try {
        send(item);
      } catch (error) {
        unsubscribe();
        tell(reasonOf(error));
      }
    }
  };
  subscription = source.subscribe({
    next: (item) => {
      if (over || told) {
        return;
      }
      if (!waiting) {
        push(item);
      } else if (waiting.length < UPLOAD_BUFFER) {
        waiting.push(item);
      } else {
        finish(`More than ${UPLOAD_BUFFER} items of an upload wait for their call to be sent.`);
      }
    },
    error: (error) => finish(error == null ? "Unknown error" : reasonOf(error)),
    complete: () => finish(),
  });
  if (over) {
    // It ended before there was a subscription.
    unsubscribe();
  }
  return {
    start() {
      const items = waiting ?? [];
      waiting = undefined;
      items.forEach(push);
      if (over) {
        tell(over.error);
      }
    },
    stop() {
      told = true;
      waiting = undefined;
      unsubscribe();
    },
  };
};

/** Nothing is asked of it before the call was sent, and then one item after the other. */
const pulled = (source: AsyncIterable<unknown>, send: Send, end: End): Upload => {
  let iterator: AsyncIterator<unknown> | undefined;
  let stopped = false;
  const stop = (): void => {
    stopped = true;
    // What the source says to that interests nobody.
    (async () => iterator?.return?.())().catch(() => {});
  };
  return {
    async start() {
      try {
        iterator = source[Symbol.asyncIterator]();
        for (;;) {
          const { done, value } = await iterator.next();
          if (stopped) {
            return;
          }
          if (done) {
            return end();
          }
          await send(value);
        }
      } catch (error) {
        if (!stopped) {
          end(reasonOf(error));
          stop();
        }
      }
    },
    stop,
  };
};
