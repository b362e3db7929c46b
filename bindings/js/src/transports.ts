import type { TransportName } from "./backend.js";
import type { HttpClient } from "./http.js";
import type { ILogger, LogLevel } from "./logging.js";
import type { MessageHeaders } from "./messages.js";

/** Transports, as bits: several may be allowed with `|`. */
export enum HttpTransportType {
  /** No restriction. */
  None = 0,
  WebSockets = 1,
  ServerSentEvents = 2,
  LongPolling = 4,
}

/** What a transport carries. */
export enum TransferFormat {
  Text = 1,
  Binary = 2,
}

/** Options of `withUrl`. */
export interface IHttpConnectionOptions {
  /** Headers of every request. Browsers do not send them with WebSockets and Server-Sent Events. */
  headers?: MessageHeaders;
  /** Makes the HTTP requests, in place of the platform's way. */
  httpClient?: HttpClient;
  /** The transports that may be used; all, unless set. */
  transport?: HttpTransportType;
  /** Where log messages go, unless `configureLogging` says so. */
  logger?: ILogger | LogLevel;
  /** Gives the access token; asked for every new connection. */
  accessTokenFactory?(): string | Promise<string>;
  /** Accepted and ignored: what messages contain is never logged. */
  logMessageContent?: boolean;
  /** Connect without negotiation; only with WebSockets as the only transport. Default false. */
  skipNegotiation?: boolean;
  /** Whether cookies are sent across origins. Default true. */
  withCredentials?: boolean;
  /** The longest time for one request, in milliseconds. Default 100,000; long polls are not meant. */
  timeout?: number;
  /** Constructors that take the place of the platform's. */
  WebSocket?: unknown;
  EventSource?: unknown;
}

const NAMES: readonly TransportName[] = ["WebSockets", "ServerSentEvents", "LongPolling"];

/** The names of those transports; undefined if there is no restriction. */
export const transportNames = (flags: HttpTransportType | undefined): TransportName[] | undefined =>
  flags ? NAMES.filter((_, bit) => flags & (1 << bit)) : undefined;
