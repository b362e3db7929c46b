import type { Milliseconds } from "./backend.js";
import type { BaseHubConnectionBuilder } from "./builder.js";
import type { HubConnection } from "./connection.js";
import { Emitter } from "./emitter.js";
import { AbortError, HubError, TimeoutError, asHubError, toError } from "./errors.js";
import { configureHub, type HubDefinition } from "./hubs/client.js";
import { toLogger } from "./logging.js";
import type { StateChange, Unsubscribe } from "./options.js";
import { HubConnectionState } from "./state.js";
import type { IHttpConnectionOptions } from "./transports.js";

const { Connected, Connecting, Disconnected, Reconnecting } = HubConnectionState;

const CHANGE = "stateChanged";

/** Options of a {@link BaseHubManager}. */
export interface HubManagerOptions {
  /** What `withUrl` gets for every hub: the token factory, headers, transports. */
  readonly http?: IHttpConnectionOptions;
  /** Everything else that hubs have in common; called once for each hub, with its path for what they have not. */
  readonly configure?: (builder: BaseHubConnectionBuilder, path: string) => unknown;
  /** How many hubs may have a connection, or be about to have one. Default 100. */
  readonly maxConnections?: number;
  /** How long a hub is idle before its connection is closed; null for never. Default 300,000. */
  readonly idleAfter?: Milliseconds | null;
  /** How long {@link BaseHubManager.connect} waits for a connection. Default 30,000. */
  readonly connectTimeout?: Milliseconds;
}

/** What became of one hub of {@link BaseHubManager.connectAll}: one of the two is there. */
export interface HubResult {
  readonly path: string;
  readonly connection?: HubConnection;
  readonly error?: HubError;
}

interface Waiter {
  resolve(): void;
  reject(error: HubError): void;
}

interface Hub {
  readonly path: string;
  readonly connection: HubConnection;
  readonly waiters: Set<Waiter>;
  uses: number;
  /** It has a place among the connections that there may be. */
  active: boolean;
  /** It was closed for want of use: the next use starts it again. */
  resume: boolean;
  /** A start of the manager is under way; which one of them. */
  starting: number;
  stopping: Promise<void> | undefined;
  /** What is smaller is idle for longer. */
  idleSince: number;
  timer: ReturnType<typeof setTimeout> | undefined;
}

/**
 * The hubs of one server, each with one connection that all of the application shares. Each platform has its own
 * `HubManager`, which knows its builder.
 *
 * A hub is idle when nobody would miss it: everybody who got it from {@link hub} or {@link connect} has given it back
 * with {@link release}, no handler is registered, no call is under way and its outbox is empty. After five minutes of
 * that, noticed within five more, its connection is closed; its next use starts it again.
 *
 * At most 100 hubs have a connection. One more takes the place of the one that is idle for longest; when none is, it is
 * refused with the kind `Overflow`. A connection that the application starts on its own is counted but not refused.
 */
export class BaseHubManager {
  readonly #builder: () => BaseHubConnectionBuilder;
  readonly #baseUrl: string;
  readonly #options: HubManagerOptions;
  readonly #max: number;
  readonly #idleAfter: Milliseconds | null;
  readonly #connectTimeout: Milliseconds;
  readonly #hubs = new Map<string, Hub>();
  readonly #emitter: Emitter;
  /** Counts what happens to idleness and starts. */
  #turn = 0;

  /** `baseUrl` is the address that the paths of hubs are below; empty for that of the page. */
  constructor(builder: () => BaseHubConnectionBuilder, baseUrl: string, options: HubManagerOptions = {}) {
    const { maxConnections = 100, idleAfter = 300_000, connectTimeout = 30_000 } = options;
    this.#builder = builder;
    this.#baseUrl = baseUrl.replace(/\/+$/, "");
    this.#options = options;
    this.#emitter = new Emitter(this, toLogger(options.http?.logger));
    this.#max = atLeast(1, maxConnections, "maxConnections");
    this.#idleAfter = idleAfter === null ? null : atLeast(1, idleAfter, "idleAfter");
    this.#connectTimeout = atLeast(1, connectTimeout, "connectTimeout");
  }

  /**
   * The connection of that hub: always the same for the same path. The first time it is made, but not connected:
   * register handlers, then {@link connect}. One that was closed for being idle is started again, in the background.
   * Give it back with {@link release}, as often as you took it.
   *
   * Throws `Overflow` when it was closed for being idle, and there is no place for it now.
   */
  hub(hub: string | HubDefinition): HubConnection {
    const entry = this.#entry(hub);
    if (entry.resume) {
      this.#claim(entry);
    }
    entry.uses++;
    return entry.connection;
  }

  /** Says that one who got the hub does not hold it any more. */
  release(hub: string | HubDefinition): void {
    const entry = this.#hubs.get(pathOf(hub));
    if (entry && entry.uses > 0) {
      entry.uses--;
      this.#rest(entry);
    }
  }

  /**
   * Connects a hub and waits until that is done, at once if it is. Rejected with
   *
   * - `Timeout` when it takes longer than 30 s; it is not given up for that;
   * - `Overflow` when there are as many connections as there may be, and none is idle;
   * - `Cancelled` when the hub is disconnected meanwhile;
   * - the error of `start` when that fails.
   */
  async connect(hub: string | HubDefinition): Promise<HubConnection> {
    const entry = this.#entry(hub);
    entry.uses++;
    try {
      if (entry.connection.state !== Connected) {
        await this.#wait(entry);
      }
      return entry.connection;
    } catch (error) {
      this.release(hub);
      throw error;
    }
  }

  /** Connects hubs, all at the same time; never rejected. One that fails changes nothing for the others. */
  connectAll(hubs: Iterable<string | HubDefinition>): Promise<HubResult[]> {
    return Promise.all(
      Array.from(hubs, async (hub) => {
        const path = pathOf(hub);
        try {
          return { path, connection: await this.connect(hub) };
        } catch (error) {
          return { path, error: asHubError(error) };
        }
      }),
    );
  }

  /** Disconnects a hub, used or not. Its connection and its handlers stay, for the next {@link connect}. */
  async disconnect(hub: string | HubDefinition): Promise<void> {
    const entry = this.#hubs.get(pathOf(hub));
    if (entry) {
      entry.resume = false;
      this.#answer(entry, new AbortError(`${entry.path}: The hub was disconnected.`));
      await this.#stop(entry);
    }
  }

  /** As {@link disconnect}, all hubs at the same time. */
  async disconnectAll(): Promise<void> {
    await Promise.all(Array.from(this.#hubs.keys(), (path) => this.disconnect(path)));
  }

  /** Every hub that was used so far, by its path, with the state of its connection. */
  states(): Map<string, HubConnectionState> {
    return new Map(Array.from(this.#hubs.values(), ({ path, connection }) => [path, connection.state]));
  }

  /** Every change of the state of any hub, those to come included. */
  onStateChanged(callback: (path: string, change: StateChange) => void): Unsubscribe {
    return this.#emitter.add(CHANGE, ({ path, change }) => callback(path, change));
  }

  #entry(hub: string | HubDefinition): Hub {
    const path = pathOf(hub);
    let entry = this.#hubs.get(path);
    if (!entry) {
      const { http, configure } = this.#options;
      const builder = this.#builder().withUrl(this.#baseUrl + path, http ?? {});
      configure?.(builder, path);
      if (typeof hub !== "string") {
        configureHub(builder, hub);
      }
      entry = {
        path,
        connection: builder.build(),
        waiters: new Set(),
        uses: 0,
        active: false,
        resume: false,
        starting: 0,
        stopping: undefined,
        idleSince: 0,
        timer: undefined,
      };
      const made = entry;
      made.connection.onStateChanged((change) => this.#changed(made, change));
      this.#hubs.set(path, made);
    }
    return entry;
  }

  #wait(entry: Hub): Promise<void> {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => {
        const text = `There was no connection within ${this.#connectTimeout} ms; it is still being made.`;
        waiter.reject(new TimeoutError(`${entry.path}: ${text}`));
      }, this.#connectTimeout);
      const done =
        <T extends unknown[]>(end: (...values: T) => void) =>
        (...values: T): void => {
          clearTimeout(late);
          entry.waiters.delete(waiter);
          end(...values);
        };
      const waiter: Waiter = { resolve: done(resolve), reject: done(reject) };
      entry.waiters.add(waiter);
      try {
        this.#claim(entry);
      } catch (error) {
        waiter.reject(error as HubError);
      }
    });
  }

  /** Gives the hub a place and starts it, or throws why there is none. */
  #claim(entry: Hub): void {
    if (entry.active) {
      return;
    }
    const active = this.#filter((other) => other.active);
    const missing = active.length + 1 - this.#max;
    const idle = active.filter((other) => isIdle(other)).sort((a, b) => a.idleSince - b.idleSince);
    if (idle.length < missing) {
      const text = `There are as many connections as maxConnections allows, ${this.#max}, and none of them is idle.`;
      throw new HubError("Overflow", `${entry.path}: ${text}`);
    }
    idle.slice(0, Math.max(missing, 0)).forEach((other) => this.#close(other));
    this.#activate(entry);
    void this.#start(entry);
  }

  async #start(entry: Hub): Promise<void> {
    const start = (entry.starting = ++this.#turn);
    try {
      // Those that stop have their places until then.
      for (let stopping; (stopping = this.#mustStop(entry)).length;) {
        await Promise.race(stopping);
        if (entry.starting !== start) {
          return;
        }
      }
      // Somebody else may have been faster.
      if (entry.connection.state === Disconnected) {
        await entry.connection.start();
      } else {
        entry.starting = 0;
      }
    } catch (error) {
      if (entry.starting === start) {
        entry.starting = 0;
        this.#settle(entry, asHubError(error));
      }
    }
  }

  /** What has to end before the hub can start. */
  #mustStop(entry: Hub): Promise<void>[] {
    const open = this.#filter(({ connection, stopping }) => stopping || connection.state !== Disconnected);
    return entry.stopping
      ? [entry.stopping]
      : open.length < this.#max
        ? []
        : open.flatMap(({ stopping }) => stopping ?? []);
  }

  #changed(entry: Hub, change: StateChange): void {
    const { to, cause } = change;
    if (to === Connected) {
      entry.starting = 0;
      this.#activate(entry);
      this.#answer(entry);
    } else if (to === Connecting || to === Reconnecting) {
      // The application may have started it: it counts from now on.
      this.#activate(entry);
    } else if (to === Disconnected && !entry.starting) {
      const error = cause.type === "failed" ? cause.error : new HubError("Network", "The connection has ended.");
      this.#settle(entry, error);
    }
    this.#emitter.emit(CHANGE, { path: entry.path, change });
  }

  #activate(entry: Hub): void {
    if (!entry.active) {
      entry.active = true;
      entry.resume = false;
      this.#rest(entry);
    }
  }

  /** The hub has no connection any more, and none is being made. */
  #settle(entry: Hub, { kind, message: text }: HubError): void {
    if (entry.connection.state === Disconnected) {
      this.#deactivate(entry);
      this.#answer(entry, toError({ kind, text: `${entry.path}: ${text}` }));
    }
  }

  #deactivate(entry: Hub): void {
    entry.active = false;
    clearTimeout(entry.timer);
  }

  #answer(entry: Hub, error?: HubError): void {
    for (const waiter of [...entry.waiters]) {
      error ? waiter.reject(error) : waiter.resolve();
    }
  }

  /** It may be idle from now on. */
  #rest(entry: Hub): void {
    clearTimeout(entry.timer);
    entry.idleSince = ++this.#turn;
    if (this.#idleAfter !== null && entry.active) {
      entry.timer = setTimeout(() => (isIdle(entry) ? this.#close(entry) : this.#rest(entry)), this.#idleAfter);
      // It is no reason to keep a Node process.
      (entry.timer as { unref?(): void }).unref?.();
    }
  }

  #close(entry: Hub): void {
    entry.resume = true;
    void this.#stop(entry);
  }

  #stop(entry: Hub): Promise<void> {
    this.#deactivate(entry);
    entry.starting = 0;
    const stopping = (entry.stopping ??= entry.connection
      .stop()
      .catch(() => {})
      .then(() => {
        entry.stopping = undefined;
      }));
    return stopping;
  }

  #filter(which: (entry: Hub) => unknown): Hub[] {
    return [...this.#hubs.values()].filter(which);
  }
}

const pathOf = (hub: string | HubDefinition): string =>
  `/${(typeof hub === "string" ? hub : hub.path).replace(/^\/+/, "")}`;

const isIdle = ({ uses, waiters, connection }: Hub): boolean =>
  !uses && !waiters.size && !connection.isListening && !connection.pendingCalls && !connection.outbox.depth;

const atLeast = (least: number, value: number, name: string): number => {
  if (!(value >= least)) {
    throw new HubError("Misuse", `${name} must be at least ${least}`);
  }
  return value;
};
