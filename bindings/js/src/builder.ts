import type {
  Backend,
  BackendConfig,
  DeliveryOptions,
  HttpSettings,
  HubProtocol,
  Milliseconds,
  RetrySchedule,
} from "./backend.js";
import { HubConnection } from "./connection.js";
import { HubError } from "./errors.js";
import { toLogger, type ILogger, type LogLevel } from "./logging.js";
import type { OutboxOptions } from "./options.js";
import { RetryPolicies, type IRetryPolicy, type RetryOptions } from "./retry.js";
import { transportNames, type HttpTransportType, type IHttpConnectionOptions } from "./transports.js";
import { resolveUrl } from "./url.js";

/** Options of {@link BaseHubConnectionBuilder.withStatefulReconnect}. */
export interface IStatefulReconnectOptions {
  /** The room for messages that the server has not acknowledged, in bytes. Default 100,000. */
  bufferSize: number;
}

/** What a builder collects: the configuration without what `withUrl` and the platform give. */
type Draft = { -readonly [K in keyof BackendConfig]?: BackendConfig[K] | undefined };

interface Retry {
  readonly schedule: RetrySchedule;
  readonly policy: IRetryPolicy | undefined;
  readonly options: RetryOptions;
}

const required = (value: unknown, name: string): void => {
  if (value === null || value === undefined) {
    throw new Error(`The '${name}' argument is required.`);
  }
};

/**
 * Configures a {@link HubConnection}. Each platform has its own `HubConnectionBuilder`, which says what the connections
 * run on.
 *
 * Without the methods that are Hubwire's own, a connection behaves as one of SignalR's client.
 */
export abstract class BaseHubConnectionBuilder {
  readonly #draft: Draft = {};
  #url: string | undefined;
  #options: IHttpConnectionOptions = {};
  #logger: ILogger | undefined;
  #retry: Retry | undefined;
  #resilient = false;

  /** What the connections run on. */
  protected abstract backend(): Backend;

  /** The encoding of connections that were given none. */
  protected abstract defaultProtocol(): HubProtocol;

  /** Where log messages go: to the console from a level on (`Information` unless set), or to a logger. */
  configureLogging(logging: LogLevel | string | ILogger): this {
    required(logging, "logging");
    this.#logger = toLogger(logging);
    return this;
  }

  /** The address of the hub, and either the transports that may be used or all options of HTTP. */
  withUrl(url: string, transportTypeOrOptions?: HttpTransportType | IHttpConnectionOptions): this {
    required(url, "url");
    if (!url || /^\s*$/.test(url)) {
      throw new Error("The 'url' argument should not be empty.");
    }
    this.#url = url;
    const options = typeof transportTypeOrOptions === "object" ? transportTypeOrOptions : undefined;
    this.#options = { ...this.#options, ...(options ?? { transport: transportTypeOrOptions as HttpTransportType }) };
    return this;
  }

  /** The encoding: JSON unless set. */
  withHubProtocol(protocol: HubProtocol): this {
    required(protocol, "protocol");
    this.#draft.protocol = protocol;
    return this;
  }

  /**
   * Make a connection that was lost again: after 0, 2, 10 and 30 s, after the given delays in milliseconds, when a
   * function of the application says, or by one of {@link RetryPolicies}. Without it a lost connection is closed.
   */
  withAutomaticReconnect(
    retryDelaysOrReconnectPolicy?: readonly number[] | IRetryPolicy | RetrySchedule,
    options: RetryOptions = {},
  ): this {
    if (this.#retry) {
      throw new Error("A reconnectPolicy has already been set.");
    }
    const given = retryDelaysOrReconnectPolicy || RetryPolicies.signalr();
    const isPolicy = "nextRetryDelayInMilliseconds" in given;
    const schedule: RetrySchedule = isPolicy
      ? { type: "custom" }
      : "type" in given
        ? given
        : RetryPolicies.table(given);
    this.#retry = { schedule, policy: isPolicy ? given : undefined, options };
    return this;
  }

  /** See {@link HubConnection.serverTimeoutInMilliseconds}. */
  withServerTimeout(milliseconds: number): this {
    return this.#time("serverTimeout", milliseconds);
  }

  /** See {@link HubConnection.keepAliveIntervalInMilliseconds}. */
  withKeepAliveInterval(milliseconds: number): this {
    return this.#time("keepAliveInterval", milliseconds);
  }

  /** If the server can, go on with the same connection after a cut, with nothing missing. */
  withStatefulReconnect(options?: IStatefulReconnectOptions): this {
    return this.#set("statefulReconnect", options?.bufferSize ?? 100_000);
  }

  /**
   * Hubwire's own defaults, for what is not set otherwise: connections are tried again for ever, with full jitter of
   * 1 s up to 30 s, the first start included; calls made meanwhile wait in an outbox of 10,000 calls and 16 MiB.
   */
  withResilience(): this {
    this.#resilient = true;
    return this;
  }

  /** Calls wait while there is no connection, instead of failing at once. */
  withOutbox({ store, ...limits }: OutboxOptions = {}): this {
    return this.#set("outbox", limits).#set("store", store);
  }

  /** How messages are acknowledged, unpacked and merged. */
  withDelivery(options: DeliveryOptions): this {
    return this.#set("delivery", options);
  }

  /** Calls of `join` that succeeded are made again after a new connection, until `leave` had the same arguments. */
  withJoins(joins: readonly { readonly join: string; readonly leave?: string }[]): this {
    return this.#set("joins", joins);
  }

  /** The longest time from making a call to its end, for calls that do not say. None unless set. */
  withCallTimeout(milliseconds: Milliseconds): this {
    return this.#time("callTimeout", milliseconds);
  }

  /** A hub method without arguments that answers at once, to measure the quality of the connection. */
  withQuality({ pingMethod }: { pingMethod: string }): this {
    return this.#set("pingMethod", pingMethod);
  }

  /** Who the client is over several connections and lives; random unless set. For one connection at a time. */
  withSession(id: string): this {
    return this.#set("sessionId", id);
  }

  /** Where an earlier connection stood in streams with history: see {@link HubConnection.positions}. */
  withPositions(positions: readonly string[]): this {
    return this.#set("positions", positions);
  }

  /** Renew the access token before it expires, without a new connection, if the server can. */
  withTokenRefresh(): this {
    return this.#set("tokenRefresh", true);
  }

  /** Whether a Hubwire server is told that this client understands its extensions. Default true. */
  withHubwireExtensions(enabled: boolean): this {
    return this.#set("announce", enabled);
  }

  /** The longest time for the handshake. Default 15,000. */
  withHandshakeTimeout(milliseconds: Milliseconds): this {
    return this.#time("handshakeTimeout", milliseconds);
  }

  /** The largest message that is accepted, in bytes. Default 16 MiB. */
  withMaxMessageSize(bytes: number): this {
    return this.#set("maxMessageSize", bytes);
  }

  /** Makes the connection; nothing is connected yet. Throws when an option is not possible. */
  build(): HubConnection {
    if (!this.#url) {
      throw new Error("The 'HubConnectionBuilder.withUrl' method must be called before building the connection.");
    }
    const { transport, skipNegotiation, accessTokenFactory, logger, ...rest } = this.#options;
    const { headers, withCredentials = true, timeout = 100_000, httpClient, WebSocket, EventSource } = rest;
    if (typeof withCredentials !== "boolean") {
      throw new Error("withCredentials option was not a 'boolean' or 'undefined' value");
    }
    if (typeof transport === "object") {
      throw new HubError(
        "Misuse",
        "A transport of the application is not supported: 'transport' must be HttpTransportType.",
      );
    }
    const { options, policy } = this.#retry ?? {};
    const retry = this.#retry?.schedule ?? (this.#resilient ? RetryPolicies.fullJitter() : { type: "never" });
    const config: Draft = {
      outbox: this.#resilient ? {} : { maxItems: 0 },
      serverTimeout: 30_000,
      keepAliveInterval: 15_000,
      ...this.#draft,
      url: resolveUrl(this.#url),
      protocol: this.#draft.protocol ?? this.defaultProtocol(),
      transports: transportNames(transport),
      skipNegotiation,
      hasTokenFactory: !!accessTokenFactory,
      retry,
      retryJitter: options?.jitter,
      retryFirstStart: options?.firstStart ?? retry.type === "fullJitter",
      maxRetries: options?.maxRetries,
      http: defined<HttpSettings>({ headers, withCredentials, timeout, httpClient, WebSocket, EventSource }),
    };
    return new HubConnection({
      backend: this.backend(),
      config: defined<BackendConfig>(config),
      logger: this.#logger ?? toLogger(logger),
      accessTokenFactory,
      retryPolicy: policy,
    });
  }

  #time(key: "serverTimeout" | "keepAliveInterval" | "callTimeout" | "handshakeTimeout", milliseconds: number): this {
    required(milliseconds, "milliseconds");
    return this.#set(key, milliseconds);
  }

  #set<K extends keyof Draft>(key: K, value: Draft[K]): this {
    this.#draft[key] = value;
    return this;
  }
}

/** Without what is undefined, which to a platform means the same as absent. */
const defined = <T extends object>(values: { [K in keyof T]?: T[K] | undefined }): T =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as T;
