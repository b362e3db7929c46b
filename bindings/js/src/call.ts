import { type Calls, refusal } from "./calls.js";
import { textOf } from "./errors.js";
import type { Call, CallOptions, StreamCallOptions } from "./options.js";
import { HubStream } from "./stream.js";

/** Makes a call with everything that may be said of it. */
export const makeCall = <T>(
  calls: Calls,
  methodName: string,
  args: readonly unknown[],
  { kind = "invoke", signal, ...options }: CallOptions,
  isConnected: boolean,
): Call<T> => {
  let call = 0;
  let accept!: () => void;
  let refuse!: (error: unknown) => void;
  const accepted = new Promise<void>((resolve, reject) => {
    accept = resolve;
    refuse = reject;
  });
  // Few look at it.
  accepted.catch(() => {});
  const result = new Promise<T>((resolve, reject) => {
    const end = (error: unknown, value?: unknown): void => {
      if (error) {
        refuse(error);
        reject(error);
      } else {
        accept();
        resolve(value as T);
      }
    };
    if (signal?.aborted) {
      return end(refusal(signal));
    }
    try {
      call = calls.make(kind, methodName, args, { end, queued: accept }, options, signal);
    } catch (error) {
      end(error);
    }
  });
  if (isConnected && !options.durable) {
    // Unless it was refused by now.
    accept();
  }
  return Object.assign(result, { accepted, cancel: () => calls.cancel(call) });
};

/** Makes a call of a method that streams. Throws what encoding throws; `failed` hears what subscribers throw. */
export const makeStream = <T>(
  calls: Calls,
  methodName: string,
  args: readonly unknown[],
  { signal, bufferSize, ...options }: StreamCallOptions,
  failed: (text: string) => void,
): HubStream<T> => {
  let call = 0;
  let cancelled = false;
  const control = {
    cancel(): void {
      cancelled = true;
      calls.cancel(call);
    },
    failed: (error: unknown) => failed(`Stream callback threw error: ${textOf(error)}`),
  };
  const stream = new HubStream<T>(control, bufferSize);
  if (signal?.aborted) {
    stream.end(refusal(signal));
    return stream;
  }
  const pending = {
    end: (error: Error | undefined) => stream.end(error),
    item: (item: unknown) => stream.push(item as T),
  };
  call = calls.make("stream", methodName, args, pending, options, signal);
  if (cancelled) {
    // Before it had an id.
    calls.cancel(call);
  }
  return stream;
};
