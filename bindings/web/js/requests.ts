/** The requests of one connection: negotiation, token refresh, and the transports that are made of requests. */

import type { BackendConfig, BackendEvents } from "../../js/src/backend.js";
import { HttpError, TimeoutError } from "../../js/src/errors.js";
import { DefaultHttpClient, type HttpClient, type HttpRequest, type HttpResponse } from "../../js/src/http.js";
import { VERSION } from "../../js/src/version.js";
import type { Frame } from "./codec.js";
import { withParameter } from "./query.js";

/** What a request is for, as the driver counts them. */
const NEGOTIATE = 0;
const POLL = 3;
const DELETE = 4;

/** As in the official client, for one request. */
const TIMEOUT = 100_000;

/** Where the requests of a link go, and who makes them. */
interface Session {
  readonly url: string;
  token: string | undefined;
  readonly controller: AbortController;
}

export interface RequestEvents {
  /** Of a negotiation: the body. Of a poll: what came, unless the server has ended the connection. */
  responded(request: number, kind: number, link: number, response: HttpResponse): void;
  failed(request: number, status: number, text: string): void;
}

export class Requests {
  readonly #config: BackendConfig;
  readonly #events: RequestEvents;
  readonly #application: BackendEvents;
  readonly #client: HttpClient;
  readonly #sessions = new Map<number, Session>();
  readonly #isBinary: boolean;
  #polls = 0;

  constructor(config: BackendConfig, isBinary: boolean, events: RequestEvents, application: BackendEvents) {
    this.#config = config;
    this.#events = events;
    this.#application = application;
    this.#isBinary = isBinary;
    const log = (level: number, text: string): void => application.log(level, text);
    this.#client = (config.http.httpClient as HttpClient | undefined) ?? new DefaultHttpClient({ log });
  }

  session(link: number, url: string, token: string | undefined): void {
    this.#sessions.set(link, { url, token, controller: new AbortController() });
  }

  abandon(link: number): void {
    this.#sessions.get(link)?.controller.abort();
    this.#sessions.delete(link);
  }

  /** Lets go of every link. */
  clear(): void {
    for (const link of [...this.#sessions.keys()]) {
      this.abandon(link);
    }
  }

  /** A request for a link. */
  start(request: number, kind: number, link: number, body: Frame | undefined): void {
    const session = this.#sessions.get(link);
    if (session) {
      void this.#settle(request, kind, link, this.#ofLink(session, kind, body));
    }
  }

  /** A request to negotiate, or to refresh a token. */
  startAt(request: number, kind: number, url: string, token: string | undefined, early?: Promise<HttpResponse>): void {
    void this.#settle(request, kind, 0, early ?? this.post(url, token));
  }

  post(url: string, token: string | undefined): Promise<HttpResponse> {
    return this.#send({ method: "POST", url, content: "" }, token);
  }

  async #ofLink(session: Session, kind: number, body: Frame | undefined): Promise<HttpResponse> {
    const request: HttpRequest = { url: session.url, abortSignal: session.controller.signal };
    if (kind === POLL) {
      // Against caches, as in the official client.
      request.method = "GET";
      request.url = withParameter(session.url, `_=${Date.now()}${this.#polls++ % 10}`);
      if (this.#isBinary) {
        request.responseType = "arraybuffer";
      }
    } else if (kind === DELETE) {
      request.method = "DELETE";
      // The poll that waits is in the way of the end.
      session.controller.abort();
      delete request.abortSignal;
    } else {
      request.method = "POST";
      request.content = typeof body === "string" ? body : (body?.slice().buffer ?? "");
    }
    try {
      return await this.#send(request, session.token);
    } catch (error) {
      // The token may have expired: once more, with a new one.
      if (!(statusOf(error) === 401 && this.#config.hasTokenFactory)) {
        throw error;
      }
      session.token = (await this.#application.token()) ?? undefined;
      return await this.#send(request, session.token);
    }
  }

  #send(request: HttpRequest, token: string | undefined): Promise<HttpResponse> {
    const { headers, timeout, withCredentials } = this.#config.http;
    return this.#client.send({
      ...request,
      headers: {
        "X-SignalR-User-Agent": `Hubwire/${VERSION} (Browser)`,
        ...(token && { Authorization: `Bearer ${token}` }),
        ...headers,
      },
      timeout: timeout ?? TIMEOUT,
      withCredentials: withCredentials ?? true,
    });
  }

  async #settle(request: number, kind: number, link: number, sent: Promise<HttpResponse>): Promise<void> {
    let response: HttpResponse;
    try {
      response = await sent;
    } catch (error) {
      if (kind === POLL && error instanceof TimeoutError && this.#sessions.has(link)) {
        // The server had nothing to say for a long time.
        return this.#events.responded(request, kind, link, { statusCode: 200 });
      }
      return this.#events.failed(request, statusOf(error), reasonOf(error, kind));
    }
    if (response.statusCode >= 200 && response.statusCode < 300) {
      this.#events.responded(request, kind, link, response);
    } else {
      const { content, statusText } = response;
      this.#events.failed(request, response.statusCode, (typeof content === "string" && content) || statusText || "");
    }
  }
}

/** The status of a response that was no success; 0 if there was none. */
const statusOf = (error: unknown): number => {
  const status = (error as Partial<HttpError> | null)?.statusCode;
  return typeof status === "number" ? status : 0;
};

function reasonOf(error: unknown, kind: number): string {
  if (statusOf(error) === 0 && kind === NEGOTIATE) {
    // As the official client says it.
    return String(error);
  }
  const text = error instanceof Error ? error.message : String(error);
  // The core says the status itself.
  return text.replace(/: Status code '\d+'$/, "");
}
