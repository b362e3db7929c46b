import type { BackendCallOptions, Cause, ConnectionEvent, Milliseconds, OutboxLimits } from "./backend.js";
import type { HubError } from "./errors.js";
import type { HubConnectionState } from "./state.js";

/** Options of {@link HubConnection.call}. */
export interface CallOptions extends BackendCallOptions {
  /** `invoke` waits for the end of the method, `send` does not ask for one. Default `invoke`. */
  readonly kind?: "invoke" | "send";
  /**
   * Takes the call back when aborted: it is not sent if it still waits; else the server is told. The promise is
   * rejected with an `AbortError` whose `cause` is the reason of the signal.
   */
  readonly signal?: AbortSignal;
  /** The longest time from making the call to its end. Past it: the kind `Timeout`. */
  readonly timeout?: Milliseconds;
  /** A call that still waits in the outbox then is given up. */
  readonly expiresAfter?: Milliseconds;
  /** What leaves the outbox first. Default `normal`; calls of one priority keep their order. */
  readonly priority?: "low" | "normal" | "high" | "critical";
  /** Takes the place of the queued call with the same key. */
  readonly supersedeKey?: string;
  /** The method may run twice: the call is made again if its outcome is unknown. */
  readonly idempotent?: boolean;
  /** It is in the store before `accepted` is fulfilled, and outlives the process. Needs `withOutbox({ store })`. */
  readonly durable?: boolean;
  /** Without a connection: wait for one (the default, unless the outbox is off), or fail at once. */
  readonly queue?: boolean;
}

/** Options of {@link HubConnection.streamCall}. */
export interface StreamCallOptions extends Omit<BackendCallOptions, "durable" | "supersedeKey"> {
  /** Cancels the stream when aborted: it fails with an `AbortError`. */
  readonly signal?: AbortSignal;
  /** How many items may wait for their reader. Default 10,000. */
  readonly bufferSize?: number;
}

/** A call that was made: a promise of its result that can do more. */
export interface Call<T> extends Promise<T> {
  /**
   * Fulfilled when the call was handed over to the connection, or waits in the outbox; for a durable one, when it is
   * safe in the store. Rejected, as the call itself, if it comes to nothing before.
   */
  readonly accepted: Promise<void>;
  /** Takes the call back: it ends with an `AbortError`. Does nothing once it has ended. */
  cancel(): void;
}

/** A durable call that an earlier page or process left in the store. */
export interface RestoredHubCall {
  /** The method. */
  readonly target: string;
  /** The end of the call. */
  readonly result: Promise<unknown>;
  cancel(): void;
}

/** Options of `withOutbox`. What is left out has the core's default. */
export interface OutboxOptions extends OutboxLimits {
  /** How many calls may wait. Default 10,000; 0 turns the outbox off. */
  readonly maxItems?: number;
  /** About how many bytes they may have. Default 16 MiB. */
  readonly maxBytes?: number;
  /** Default `reject`: the new call fails with the kind `Overflow`. */
  readonly whenFull?: "reject" | "dropOldest" | "dropNewest";
  /** How many queued calls may be without completion while the queue is emptied. Default 256. */
  readonly window?: number;
  /** The name of a store that outlives the page or process, for durable calls. */
  readonly store?: string;
}

/** A change of the state of a connection. */
export interface StateChange {
  readonly from: HubConnectionState;
  readonly to: HubConnectionState;
  readonly cause: StateCause;
}

/** As {@link Cause}, with an error that can be thrown. */
export type StateCause = WithErrors<Cause>;

/** What happened besides messages and changes of the state, by the name of {@link HubConnection.onEvent}. */
export type HubEvents = { [E in ConnectionEvent as E["type"]]: WithErrors<E> };

/** Faults became errors. */
export type WithErrors<T> = T extends unknown
  ? { readonly [K in keyof T]: K extends "error" | "reason" ? HubError | Extract<T[K], null> : T[K] }
  : never;

/** Takes back a registration. */
export type Unsubscribe = () => void;
