import type {
  Backend,
  BackendConfig,
  BackendConnection,
  BackendEvents,
  CallKind,
  ConnectionEvent,
  Hint,
  Metrics,
  Milliseconds,
  OutboxProgress,
  Quality,
  RestoredCall,
} from "./backend.js";
import { makeCall, makeStream } from "./call.js";
import { Calls } from "./calls.js";
import { Emitter } from "./emitter.js";
import { asHubError, textOf, toError, withErrors } from "./errors.js";
import { Handlers, type Handler } from "./handlers.js";
import { Lifecycle } from "./lifecycle.js";
import { LogLevel, type ILogger } from "./logging.js";
import type {
  Call,
  CallOptions,
  HubEvents,
  RestoredHubCall,
  StateChange,
  StreamCallOptions,
  Unsubscribe,
} from "./options.js";
import type { IRetryPolicy } from "./retry.js";
import { HubConnectionState } from "./state.js";
import type { HubStream } from "./stream.js";
import { resolveUrl } from "./url.js";

/** What a connection is made of; see {@link HubConnectionBuilder}. */
export interface ConnectionParts {
  readonly backend: Backend;
  readonly config: BackendConfig;
  readonly logger: ILogger;
  readonly accessTokenFactory?: (() => string | Promise<string>) | undefined;
  readonly retryPolicy?: IRetryPolicy | undefined;
}

/**
 * A connection to a hub. Made by `HubConnectionBuilder`.
 *
 * What of it is SignalR's behaves as it does there. `call`, `streamCall`, `onStateChanged`, `onEvent` and what follows
 * them are Hubwire's.
 */
export class HubConnection {
  readonly #backend: BackendConnection;
  readonly #logger: ILogger;
  readonly #handlers: Handlers;
  readonly #emitter: Emitter;
  readonly #calls: Calls;
  readonly #restored: Promise<readonly RestoredHubCall[]>;
  readonly #lifecycle: Lifecycle;
  #startPromise: Promise<void> | undefined;
  #url: string;
  #serverTimeout: Milliseconds;
  #keepAliveInterval: Milliseconds;
  #outbox: OutboxProgress = { depth: 0, bytes: 0, oldestAge: null };
  #quality: Quality = { grade: "lost", rtt: null, jitter: 0 };

  /** For platforms; applications use a builder. */
  constructor({ backend, config, logger, accessTokenFactory, retryPolicy }: ConnectionParts) {
    this.#logger = logger;
    this.#handlers = new Handlers(logger);
    this.#emitter = new Emitter(this, logger);
    this.#lifecycle = new Lifecycle(this.#emitter);
    this.#url = config.url;
    this.#serverTimeout = config.serverTimeout ?? 30_000;
    this.#keepAliveInterval = config.keepAliveInterval ?? 15_000;
    let restored!: (calls: readonly RestoredHubCall[]) => void;
    this.#restored = new Promise((resolve) => (restored = resolve));
    if (config.store === undefined) {
      restored([]);
    }
    const events: BackendEvents = {
      stateChanged: (state, cause) => this.#lifecycle.follow(state, withErrors(cause)),
      invocation: (target, args, reply, delivery) =>
        this.#handlers.run(this, target, args, reply, delivery, this.#backend),
      // Handlers cannot be interrupted; the core drops answers that come too late.
      invocationCancelled: () => {},
      completed: (call, error, value) => this.#calls.completed(call, error, value),
      item: (call, item) => this.#calls.item(call, item),
      queued: (call) => this.#calls.queued(call),
      uploadStarted: (upload) => this.#calls.uploadStarted(upload),
      uploadStopped: (upload) => this.#calls.uploadStopped(upload),
      event: (event) => this.#event(event),
      broken: (error) => {
        this.#calls.end(error);
        this.#lifecycle.follow("Disconnected", { type: "failed", error: toError(error) });
      },
      restored: (calls) => restored(calls.map((call) => this.#restore(call))),
      retryDelay: ({ previousRetryCount, elapsed: elapsedMilliseconds, reason }) => {
        const retryReason = toError(reason);
        try {
          return (
            retryPolicy?.nextRetryDelayInMilliseconds({ previousRetryCount, elapsedMilliseconds, retryReason }) ?? null
          );
        } catch (error) {
          const question = `${previousRetryCount}, ${elapsedMilliseconds}`;
          this.#log(`IRetryPolicy.nextRetryDelayInMilliseconds(${question}) threw error '${textOf(error)}'.`);
          return null;
        }
      },
      // A rejection is for the platform; nothing is thrown.
      token: async () => accessTokenFactory?.(),
      log: (level, text) => logger.log(level, text),
    };
    this.#backend = backend.connect(config, events);
    this.#calls = new Calls(this.#backend);
  }

  /** The state of the connection. */
  get state(): HubConnectionState {
    return this.#lifecycle.state;
  }

  /** The id that the server knows the connection by; null while it is not connected, or without negotiation. */
  get connectionId(): string | null {
    return this.#lifecycle.connectionId;
  }

  /** The address of the hub. It can be changed while disconnected or reconnecting. */
  get baseUrl(): string {
    return this.#url;
  }

  set baseUrl(url: string) {
    if (this.state !== HubConnectionState.Disconnected && this.state !== HubConnectionState.Reconnecting) {
      throw new Error("The HubConnection must be in the Disconnected or Reconnecting state to change the url.");
    }
    if (!url) {
      throw new Error("The HubConnection url must be a valid url.");
    }
    this.#url = resolveUrl(url);
    this.#backend.configure({ url: this.#url });
  }

  /** Without a message for that long, the connection is taken for lost. Milliseconds; default 30,000. */
  get serverTimeoutInMilliseconds(): number {
    return this.#serverTimeout;
  }

  set serverTimeoutInMilliseconds(serverTimeout: number) {
    this.#serverTimeout = serverTimeout;
    this.#backend.configure({ serverTimeout });
  }

  /** When nothing was sent for that long, a ping is. Milliseconds; default 15,000. */
  get keepAliveIntervalInMilliseconds(): number {
    return this.#keepAliveInterval;
  }

  set keepAliveIntervalInMilliseconds(keepAliveInterval: number) {
    this.#keepAliveInterval = keepAliveInterval;
    this.#backend.configure({ keepAliveInterval });
  }

  /** Connects; fulfilled when that is done. Rejected when it failed, or if the connection is not disconnected. */
  start(): Promise<void> {
    return (this.#startPromise = this.#start());
  }

  async #start(): Promise<void> {
    const starting = this.#lifecycle.starting();
    try {
      await this.#backend.start();
    } catch (error) {
      if (starting && this.state === HubConnectionState.Connecting) {
        this.#lifecycle.change(HubConnectionState.Disconnected, { type: "failed", error: asHubError(error) });
      }
      throw error;
    }
  }

  /** Disconnects; fulfilled when that is done. Calls that have not ended fail. */
  async stop(): Promise<void> {
    const start = this.#startPromise;
    if (this.state !== HubConnectionState.Disconnected) {
      this.#lifecycle.change(HubConnectionState.Disconnecting, { type: "requested" });
    }
    try {
      await this.#backend.stop();
    } finally {
      if (this.state === HubConnectionState.Disconnecting) {
        this.#lifecycle.change(HubConnectionState.Disconnected, { type: "requested" });
      }
    }
    // So that it is told first that it failed; whoever called it knows why.
    await start?.catch(() => {});
  }

  /** Calls a hub method; fulfilled when the call was sent, whatever becomes of it. */
  send(methodName: string, ...args: any[]): Promise<void> {
    return this.#invoke("send", methodName, args);
  }

  /** Calls a hub method; fulfilled with its result, rejected with its error. */
  invoke<T = any>(methodName: string, ...args: any[]): Promise<T> {
    return this.#invoke("invoke", methodName, args);
  }

  /** Calls a hub method that streams. Arguments that are subjects or async iterables are uploaded, as in all calls. */
  stream<T = any>(methodName: string, ...args: any[]): HubStream<T> {
    return this.streamCall<T>(methodName, args);
  }

  /** As {@link stream}, with options. */
  streamCall<T = any>(
    methodName: string,
    args: readonly unknown[] = [],
    options: StreamCallOptions = {},
  ): HubStream<T> {
    return makeStream(this.#calls, methodName, args, options, (text) => this.#log(text));
  }

  /** As {@link invoke} or {@link send}, with options, and with a promise that can do more. */
  call<T = any>(methodName: string, args: readonly unknown[] = [], options: CallOptions = {}): Call<T> {
    return makeCall(this.#calls, methodName, args, options, this.state === HubConnectionState.Connected);
  }

  #invoke<T>(kind: CallKind, methodName: string, args: unknown[]): Promise<T> {
    return new Promise((resolve, reject) => {
      // What this throws rejects.
      this.#calls.make(kind, methodName, args, {
        end: (error, value) => (error ? reject(error) : resolve(value as T)),
      });
    });
  }

  /**
   * Runs `newMethod` when the server calls that method; the case of names does not matter. Its result, or what its
   * promise is fulfilled with, is the answer where the server waits for one.
   */
  on(methodName: string, newMethod: (...args: any[]) => any): void {
    this.#handlers.on(methodName, newMethod);
  }

  /** Removes one function, or all of that name. */
  off(methodName: string, method?: (...args: any[]) => void): void {
    this.#handlers.off(methodName, method as Handler | undefined);
  }

  /** The connection has ended, and is not made again; with the reason, unless somebody wanted it. */
  onclose(callback: (error?: Error) => void): void {
    this.#callback("onclose", callback);
  }

  /** The connection is lost, and is being made again. */
  onreconnecting(callback: (error?: Error) => void): void {
    this.#callback("onreconnecting", callback);
  }

  /** The connection is there again. */
  onreconnected(callback: (connectionId?: string) => void): void {
    this.#callback("onreconnected", callback);
  }

  #callback(name: string, callback: (value?: any) => void): void {
    if (callback) {
      this.#emitter.add(name, callback);
    }
  }

  /** Every change of the state, with what made it. */
  onStateChanged(callback: (change: StateChange) => void): Unsubscribe {
    return this.#emitter.add("stateChanged", callback);
  }

  /** What happens besides messages and changes of the state: see {@link ConnectionEvent} for the names. */
  onEvent<K extends keyof HubEvents>(name: K, callback: (event: HubEvents[K]) => void): Unsubscribe {
    return this.#emitter.add(name, callback);
  }

  /** What waits for a connection. Changes come as the event `outboxChanged`. */
  get outbox(): OutboxProgress {
    return this.#outbox;
  }

  /** How good the connection is. Changes come as the event `qualityChanged`. */
  get quality(): Quality {
    return this.#quality;
  }

  /** Whether anything is registered with {@link on}. */
  get isListening(): boolean {
    return this.#handlers.size > 0;
  }

  /** How many calls have not ended. */
  get pendingCalls(): number {
    return this.#calls.size;
  }

  /** Counters of this connection object. */
  metrics(): Promise<Metrics> {
    return this.#backend.metrics();
  }

  /** Where the connection stands in streams with history, for `withPositions` of a later one. */
  positions(): Promise<string[]> {
    return this.#backend.positions();
  }

  /** The durable calls of earlier pages or processes; empty without a store. Fulfilled when the store was read. */
  restoredCalls(): Promise<readonly RestoredHubCall[]> {
    return this.#restored;
  }

  /** Acknowledges a message of a target with the mode `manual`. */
  acknowledge(messageId: string): void {
    this.#backend.acknowledge(messageId);
  }

  /** Refuses a message of a target with the mode `manual`. */
  nack(messageId: string, reason: string): void {
    this.#backend.nack(messageId, reason);
  }

  /** Tells what the platform cannot know by itself; what it knows, it says on its own. */
  hint(hint: Hint): void {
    this.#backend.hint(hint);
  }

  /** Disconnects and lets go of everything; the connection cannot be used afterwards. */
  async dispose(): Promise<void> {
    await this.stop();
    this.#backend.dispose();
  }

  #event(event: ConnectionEvent): void {
    if (event.type === "outboxChanged") {
      this.#outbox = event.outbox;
    } else if (event.type === "qualityChanged") {
      this.#quality = event.quality;
    }
    if (this.#emitter.has(event.type)) {
      this.#emitter.emit(event.type, withErrors(event));
    }
  }

  #restore({ call, target }: RestoredCall): RestoredHubCall {
    const result = new Promise<unknown>((resolve, reject) => {
      this.#calls.restore(call, { end: (error, value) => (error ? reject(error) : resolve(value)) });
    });
    // Few look at it.
    result.catch(() => {});
    return { target, result, cancel: () => this.#calls.cancel(call) };
  }

  #log(text: string): void {
    this.#logger.log(LogLevel.Error, text);
  }
}
