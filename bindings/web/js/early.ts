/**
 * The first connection does not wait for the module: while it is loaded and compiled, the negotiation is under way, and the
 * socket after it. The core asks for both as always, and gets what is there if it is what it asked for.
 */

import type { BackendConfig, BackendEvents } from "../../js/src/backend.js";
import type { HttpResponse } from "../../js/src/http.js";
import { openWebSocket } from "./links.js";
import { withParameter } from "./query.js";
import type { Requests } from "./requests.js";

interface Opened {
  readonly key: string;
  readonly socket: WebSocket;
}

const keyOf = (url: string, token: string | undefined): string => `${token ?? ""} ${url}`;

/** What was begun before the core could ask for it. Each part is used once, or given up. */
export class EarlyConnection {
  readonly #config: BackendConfig;
  readonly #session: string;
  #negotiation: { readonly key: string; readonly response: Promise<HttpResponse> } | undefined;
  #socket: Opened | undefined;
  #token: Promise<string | null | undefined> | undefined;

  /** `session` is what names the client to servers. */
  constructor(config: BackendConfig, session: string) {
    this.#config = config;
    this.#session = session;
  }

  /** Begins. What goes wrong is found again by the core, which tries it as if nothing had been. */
  begin(requests: Requests, events: BackendEvents): void {
    void this.#begin(requests, events).catch(() => {});
  }

  async #begin(requests: Requests, events: BackendEvents): Promise<void> {
    const { hasTokenFactory, skipNegotiation, transports, url, statefulReconnect, store } = this.#config;
    // What is asked for depends on more than this knows of.
    if (statefulReconnect !== undefined || store !== undefined || /[?&](negotiateVersion|hubwire|clientId)=/i.test(url) || url.includes("#")) {
      return;
    }
    if (hasTokenFactory) {
      this.#token = Promise.resolve(events.token());
    }
    const token = (await this.#token) || undefined;
    const hasSockets = !transports || transports.includes("WebSockets");
    if (skipNegotiation) {
      this.#open(this.#announced(url, true), token);
      return;
    }
    const [path, query] = url.split("?", 2) as [string, string?];
    const address = `${path}${path.endsWith("/") ? "" : "/"}negotiate${query === undefined ? "" : `?${query}`}`;
    const negotiate = this.#announced(withParameter(address, "negotiateVersion=1"), false);
    const response = requests.post(negotiate, token);
    this.#negotiation = { key: keyOf(negotiate, token), response };
    const { content } = await response;
    const answer = JSON.parse(content as string) as Record<string, unknown>;
    const first = (answer["availableTransports"] as { transport?: unknown }[] | undefined)?.[0];
    if (hasSockets && first?.transport === "WebSockets" && typeof answer["connectionToken"] === "string") {
      this.#open(this.#announced(withParameter(url, `id=${answer["connectionToken"]}`), true), token);
    }
  }

  #announced(url: string, named: boolean): string {
    if (this.#config.announce === false) {
      return url;
    }
    const announced = withParameter(url, "hubwire=1");
    return named ? withParameter(announced, `clientId=${this.#session}`) : announced;
  }

  #open(url: string, token: string | undefined): void {
    this.#socket = { key: keyOf(url, token), socket: openWebSocket(this.#config, url, token) };
  }

  /** The token that was asked for already. */
  token(): Promise<string | null | undefined> | undefined {
    const token = this.#token;
    this.#token = undefined;
    return token;
  }

  negotiation(url: string, token: string | undefined): Promise<HttpResponse> | undefined {
    const begun = this.#negotiation;
    this.#negotiation = undefined;
    return begun?.key === keyOf(url, token) ? begun.response : undefined;
  }

  /** The socket to that address, unless it has failed. Its open event may be over. */
  socket(url: string, token: string | undefined): WebSocket | undefined {
    const opened = this.#socket;
    this.#socket = undefined;
    if (opened?.key === keyOf(url, token) && opened.socket.readyState <= 1) {
      return opened.socket;
    }
    opened?.socket.close();
    return undefined;
  }

  /** Gives up what was not used. */
  end(): void {
    this.#socket?.socket.close();
    this.#socket = undefined;
    this.#negotiation = undefined;
    this.#token = undefined;
  }
}
