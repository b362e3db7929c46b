/**
 * What a platform gives to the API of this package: connections of the Rust core. `@hubwire/web` implements it over
 * WebAssembly, `@hubwire/node` over a native module.
 *
 * The core decides everything that is protocol: states, retries, the outbox, acknowledgements, batches, changes,
 * recovery. This side of the border only turns calls into commands and events into promises and callbacks.
 */

/** A time in milliseconds. */
export type Milliseconds = number;

/** Whose fault an error is; the same names in every language. */
export type ErrorKind =
  | "Misuse"
  | "Protocol"
  | "Refused"
  | "Network"
  | "Timeout"
  | "Cancelled"
  | "Overflow"
  | "Gap"
  | "OutcomeUnknown";

/** An error, as it comes over the border. */
export interface Fault {
  readonly kind: ErrorKind;
  readonly text: string;
}

export type StateName = "Disconnected" | "Connecting" | "Connected" | "Disconnecting" | "Reconnecting";

/** What made the state change. */
export type Cause =
  | { readonly type: "requested" }
  | { readonly type: "established"; readonly connectionId: string | null; readonly previousConnectionId: string | null }
  | { readonly type: "serverClosed"; readonly allowReconnect: boolean }
  | { readonly type: "failed"; readonly error: Fault };

export type CallKind = "send" | "invoke" | "stream";
export type Priority = "low" | "normal" | "high" | "critical";
export type AckMode = "auto" | "manual" | "off";
export type Hint = "online" | "offline" | "resumed" | "foreground" | "background";
export type TransportName = "WebSockets" | "ServerSentEvents" | "LongPolling";
export type Grade = "good" | "fair" | "poor" | "lost";

/** When to try again. Delays are in milliseconds. */
export type RetrySchedule =
  | { readonly type: "fullJitter"; readonly base: Milliseconds; readonly cap: Milliseconds }
  | { readonly type: "conduit" }
  | { readonly type: "table"; readonly delays: readonly Milliseconds[] }
  /** Ask {@link BackendEvents.retryDelay}. */
  | { readonly type: "custom" }
  | { readonly type: "never" };

/** Everything that the core is told once. What is left out has the core's default. */
export interface BackendConfig {
  readonly url: string;
  /** The encoding of the connection; the platform's own codec object, {@link HubProtocol}. */
  readonly protocol: HubProtocol;
  readonly transports?: readonly TransportName[];
  readonly skipNegotiation?: boolean;
  readonly hasTokenFactory?: boolean;
  readonly keepAliveInterval?: Milliseconds;
  readonly serverTimeout?: Milliseconds;
  readonly handshakeTimeout?: Milliseconds;
  readonly requestTimeout?: Milliseconds;
  readonly closeTimeout?: Milliseconds;
  /** The room for messages that the server has not acknowledged, in bytes; off when left out. */
  readonly statefulReconnect?: number;
  readonly tokenRefresh?: boolean;
  readonly retry?: RetrySchedule;
  /** Whether every delay is drawn between zero and that of the schedule. Full jitter always is. */
  readonly retryJitter?: boolean;
  /** Whether a first start that fails is tried again. */
  readonly retryFirstStart?: boolean;
  readonly maxRetries?: number;
  /** What may wait for a connection. `maxItems: 0`: calls fail at once without one. */
  readonly outbox?: OutboxLimits;
  /** Whether calls can be durable: the platform's store is opened. Its name, so that an origin may have several. */
  readonly store?: string;
  readonly delivery?: DeliveryOptions;
  readonly positions?: readonly string[];
  readonly joins?: readonly { readonly join: string; readonly leave?: string }[];
  readonly callTimeout?: Milliseconds;
  readonly pingMethod?: string;
  readonly sessionId?: string;
  /** Tell the server that this client understands Hubwire's extensions. Default true. */
  readonly announce?: boolean;
  /** The largest message that is accepted, in bytes. Default 16 MiB. */
  readonly maxMessageSize?: number;
  /** What the platform needs to make requests and sockets. */
  readonly http: HttpSettings;
}

export interface OutboxLimits {
  readonly maxItems?: number;
  readonly maxBytes?: number;
  readonly whenFull?: "reject" | "dropOldest" | "dropNewest";
  readonly window?: number;
}

/** What happens to messages between the server and the handlers. */
export interface DeliveryOptions {
  /** How messages with an id are acknowledged, where nothing is said of their target. Default `auto`. */
  readonly acks?: AckMode;
  /** The modes of single methods, whatever the server. The case of names does not matter. */
  readonly targets?: readonly (readonly [target: string, mode: AckMode])[];
  /** How long acknowledgements are collected, to be sent together. Default 25. */
  readonly ackDelay?: Milliseconds;
  /** How many messages that were handled are recognised when they come again. Default 10,000. */
  readonly ackWindow?: number;
  /** How many messages may be with handlers at one time; more are refused, and come again. Default 10,000. */
  readonly maxUnacknowledged?: number;
  /** Whether `<Method>Batch` becomes several messages `<Method>`. Default true. */
  readonly unpackBatches?: boolean;
  /** Whether `<Method>Delta` is merged, and handlers of `<Method>` get the whole object. Default true. */
  readonly mergeDeltas?: boolean;
  /** The fields that may name the object of a change. Default `taskId`, `key`. */
  readonly deltaKeys?: readonly string[];
  /** How many objects are kept to merge changes into. Default 10,000. */
  readonly maxObjects?: number;
  /** How many bytes they may have together. Default 16 MiB. */
  readonly maxObjectBytes?: number;
  /** How many changes of one object wait for it to come as a whole. Default 100. */
  readonly maxHeldDeltas?: number;
  /** Of how many streams with history the position is remembered. Default 1,000. */
  readonly maxStreams?: number;
}

/** The options of `withUrl` that are about HTTP, as the application gave them. */
export interface HttpSettings {
  readonly headers?: Readonly<Record<string, string>>;
  readonly withCredentials?: boolean;
  /** The longest time for one request. Default 100,000. */
  readonly timeout?: Milliseconds;
  /** An `HttpClient` of the application. */
  readonly httpClient?: unknown;
  /** Constructors that take the place of the platform's. */
  readonly WebSocket?: unknown;
  readonly EventSource?: unknown;
}

/** An encoding: `JsonHubProtocol`, or `MessagePackHubProtocol` of the entry `…/msgpack`. */
export interface HubProtocol {
  readonly name: "json" | "messagepack" | (string & {});
  readonly version: number;
}

/** What may be asked for one call; see the documentation of `CallOptions` in the API. */
export interface BackendCallOptions {
  readonly timeout?: Milliseconds;
  readonly expiresAfter?: Milliseconds;
  readonly priority?: Priority;
  readonly supersedeKey?: string;
  readonly idempotent?: boolean;
  readonly durable?: boolean;
  /** Without a connection: wait for one (the default, unless the outbox is off), or fail at once. */
  readonly queue?: boolean;
}

export type Reply =
  | { readonly type: "void" }
  | { readonly type: "value"; readonly value: unknown }
  | { readonly type: "error"; readonly text: string }
  | { readonly type: "noHandler" }
  | { readonly type: "manyHandlers" };

export interface RetryQuestion {
  readonly previousRetryCount: number;
  readonly elapsed: Milliseconds;
  readonly reason: Fault;
}

/** What waits for a connection. */
export interface OutboxProgress {
  /** How many calls. */
  readonly depth: number;
  /** How many bytes they have, about. */
  readonly bytes: number;
  /** How long the oldest has waited; null when none does. */
  readonly oldestAge: Milliseconds | null;
}

/** How good a connection is. */
export interface Quality {
  /** `good`: a round trip, jitter counted twice, takes less than 150 ms; `fair`: less than 400 ms. */
  readonly grade: Grade;
  /** The smoothed round-trip time; null before it was measured. */
  readonly rtt: Milliseconds | null;
  /** How much it varies. */
  readonly jitter: Milliseconds;
}

/** Counters since the connection object was made, and where it stands now. */
export interface Metrics {
  readonly connections: number;
  readonly reconnections: number;
  readonly resumes: number;
  readonly retries: number;
  readonly messagesSent: number;
  readonly messagesReceived: number;
  readonly duplicatesDropped: number;
  readonly gaps: number;
  readonly acknowledged: number;
  readonly nacked: number;
  readonly malformed: number;
  readonly recoveries: number;
  readonly snapshots: number;
  readonly connectLatency: Milliseconds | null;
  readonly outbox: OutboxProgress;
  readonly quality: Quality;
}

/** Something that happened besides messages and changes of the state. */
export type ConnectionEvent =
  | { readonly type: "retryScheduled"; readonly previousRetryCount: number; readonly delay: Milliseconds; readonly reason: Fault }
  | { readonly type: "resumed" }
  | { readonly type: "outboxChanged"; readonly outbox: OutboxProgress }
  | { readonly type: "storeFailed"; readonly error: Fault }
  | { readonly type: "rejoinFailed"; readonly target: string; readonly error: Fault }
  | { readonly type: "gap"; readonly source: GapSource; readonly error: Fault }
  | { readonly type: "qualityChanged"; readonly quality: Quality }
  | { readonly type: "tokenRefreshed"; readonly error: Fault | null };

/** Where messages were lost: in a stream with history, or among the changes of an object. */
export type GapSource =
  | { readonly type: "stream"; readonly stream: string }
  | { readonly type: "object"; readonly target: string; readonly key: string };

/** A durable call that an earlier page or process left in the store. */
export interface RestoredCall {
  /** Below zero: the caller's own begin at 1. */
  readonly call: number;
  readonly target: string;
}

/** What a platform calls. None of it throws; what application code throws stays on this side. */
export interface BackendEvents {
  stateChanged(state: StateName, cause: Cause): void;
  /** A call of the server. `reply` and `delivery` must each be answered once. */
  invocation(target: string, args: unknown[], reply: number | undefined, delivery: number | undefined): void;
  /** The server no longer waits for that answer. */
  invocationCancelled(reply: number): void;
  /** The end of a call; exactly once for each. */
  completed(call: number, error: Fault | undefined, value: unknown): void;
  item(call: number, item: unknown): void;
  /** The call waits in the outbox; a durable one is safe now. */
  queued(call: number): void;
  uploadStarted(upload: number): void;
  uploadStopped(upload: number): void;
  event(event: ConnectionEvent): void;
  /** Once, if there is a store: when it was read, or cannot be. The ends of those calls come behind. */
  restored(calls: readonly RestoredCall[]): void;
  /** The core is of no use any more: every call has ended with this error, and the connection, too. */
  broken(error: Fault): void;
  /** The delay before the next attempt, or null to give up. */
  retryDelay(question: RetryQuestion): Milliseconds | null;
  token(): string | null | undefined | Promise<string | null | undefined>;
  /** `level` as in `LogLevel`. */
  log(level: number, text: string): void;
}

/** One connection. Commands are taken in order, also before the platform has loaded. */
export interface BackendConnection {
  /** Fulfilled when connected; rejected with a `HubError` when it came to nothing. */
  start(): Promise<void>;
  /** Fulfilled when disconnected. */
  stop(): Promise<void>;
  /** Makes a call; its end comes with that id. Ids are chosen by the caller, from 1. Throws what encoding throws. */
  call(call: number, kind: CallKind, target: string, args: readonly unknown[], uploads: readonly number[], options: BackendCallOptions | undefined): void;
  cancel(call: number): void;
  /** Throws what encoding throws. May return a promise, fulfilled when there is room for the next item. */
  uploadItem(upload: number, item: unknown): void | Promise<void>;
  uploadEnd(upload: number, error: string | undefined): void;
  /** All handlers of a message have ended, or failed for that reason. */
  handled(delivery: number, reason: string | undefined): void;
  acknowledge(messageId: string): void;
  nack(messageId: string, reason: string): void;
  reply(reply: number, answer: Reply): void;
  hint(hint: Hint): void;
  metrics(): Promise<Metrics>;
  /** Where the connection stands in streams with history, for {@link BackendConfig.positions} of a later one. */
  positions(): Promise<string[]>;
  /** Changes the address, the keep-alive interval or the server timeout of later connections. */
  configure(change: { url?: string; keepAliveInterval?: Milliseconds; serverTimeout?: Milliseconds }): void;
  /** Lets go of everything, once stopped. */
  dispose(): void;
}

/** A platform. */
export interface Backend {
  connect(config: BackendConfig, events: BackendEvents): BackendConnection;
}
