/** The transports of one connection, as far as JavaScript sees them: what a browser opens, and what it tells of it. */

import type { BackendConfig } from "../../js/src/backend.js";
import { withParameter } from "./query.js";

/** What a connection does with what comes. All of it may be called at any time. */
export interface LinkEvents {
  opened(link: number): void;
  /** `stamp` is when the event was made, as it says itself. */
  received(link: number, data: string | Uint8Array, stamp?: number): void;
  /** Code 0: in order. Code 1: the text is ours. Others: a status of the WebSocket. */
  closed(link: number, code: number, text: string): void;
}

const FAILED = {
  WebSocket:
    "WebSocket failed to connect. The connection could not be found on the server, either the endpoint may not be a SignalR endpoint, the connection ID is not present on the server, or there is a proxy blocking WebSockets. If you have multiple servers check that sticky sessions are enabled.",
  EventSource:
    "EventSource failed to connect. The connection could not be found on the server, either the connection ID is not present on the server, or a proxy is refusing/buffering the connection. If you have multiple servers check that sticky sessions are enabled.",
};

type Name = keyof typeof FAILED;

const withToken = (url: string, token: string | undefined): string =>
  token ? withParameter(url, `access_token=${encodeURIComponent(token)}`) : url;

/** The platform's constructor of that name, or the one that the application gave. */
function constructorOf<T>(config: BackendConfig, name: Name): T {
  const constructor = config.http[name] ?? (globalThis as Record<string, unknown>)[name];
  if (!constructor) {
    throw new Error(`'${name}' is not supported in your environment.`);
  }
  return constructor as T;
}

const webSocketUrl = (url: string, token: string | undefined): string => withToken(url, token).replace(/^http/, "ws");

export function openWebSocket(config: BackendConfig, url: string, token: string | undefined): WebSocket {
  return new (constructorOf<typeof WebSocket>(config, "WebSocket"))(webSocketUrl(url, token));
}

export function openEventSource(config: BackendConfig, url: string, token: string | undefined): EventSource {
  const withCredentials = config.http.withCredentials ?? true;
  return new (constructorOf<typeof EventSource>(config, "EventSource"))(withToken(url, token), { withCredentials });
}

/** What came, as the codec takes it. */
const dataOf = (data: unknown): string | Uint8Array => (typeof data === "string" ? data : new Uint8Array(data as ArrayBuffer));

/** The listeners of one link, in the order of the driver: open, message, error, close. */
export function listeners(link: number, events: LinkEvents): ((event: never) => void)[] {
  let isOpen = false;
  return [
    () => {
      isOpen = true;
      events.opened(link);
    },
    ({ data, timeStamp }: MessageEvent) => events.received(link, dataOf(data), timeStamp),
    // An EventSource does not say why; once it was open the server has ended the response.
    () => events.closed(link, isOpen ? 0 : 1, FAILED.EventSource),
    ({ code, reason, wasClean }: CloseEvent) => {
      if (!isOpen) {
        events.closed(link, 1, FAILED.WebSocket);
      } else {
        events.closed(link, wasClean !== false && code === 1000 ? 0 : code || 1006, reason || "");
      }
    },
  ];
}

/** Incomplete messages wait here for the rest. */
export const joined = (rest: string | Uint8Array | undefined, data: string | Uint8Array): string | Uint8Array => {
  if (rest === undefined || rest.length === 0) {
    return data;
  }
  if (typeof rest === "string" && typeof data === "string") {
    return rest + data;
  }
  const [head, tail] = [bytes(rest), bytes(data)];
  const whole = new Uint8Array(head.length + tail.length);
  whole.set(head);
  whole.set(tail, head.length);
  return whole;
};

const bytes = (data: string | Uint8Array): Uint8Array => (typeof data === "string" ? new TextEncoder().encode(data) : data);
