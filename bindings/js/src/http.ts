import { AbortError, HttpError, TimeoutError } from "./errors.js";
import { LogLevel, type ILogger } from "./logging.js";
import type { MessageHeaders } from "./messages.js";

/** One HTTP request. */
export interface HttpRequest {
  method?: string;
  url?: string;
  content?: string | ArrayBuffer;
  headers?: MessageHeaders;
  /** `"arraybuffer"` for bytes; text otherwise. */
  responseType?: "" | "arraybuffer" | "blob" | "document" | "json" | "text";
  abortSignal?: AbortSignal;
  /** Milliseconds; no limit if absent or 0. */
  timeout?: number;
  withCredentials?: boolean;
}

/** The answer to an {@link HttpRequest}. */
export class HttpResponse {
  constructor(
    readonly statusCode: number,
    readonly statusText?: string,
    readonly content?: string | ArrayBuffer,
  ) {}
}

/** Makes HTTP requests. Applications extend it to make them in their own way. */
export abstract class HttpClient {
  get(url: string, options?: HttpRequest): Promise<HttpResponse> {
    return this.send({ ...options, method: "GET", url });
  }

  post(url: string, options?: HttpRequest): Promise<HttpResponse> {
    return this.send({ ...options, method: "POST", url });
  }

  delete(url: string, options?: HttpRequest): Promise<HttpResponse> {
    return this.send({ ...options, method: "DELETE", url });
  }

  /** Rejects with an {@link HttpError} when the status is no success. */
  abstract send(request: HttpRequest): Promise<HttpResponse>;

  /** The cookies for that address, where the client manages them itself. */
  getCookieString(_url: string): string {
    return "";
  }
}

/** Makes requests with `fetch`. */
export class DefaultHttpClient extends HttpClient {
  readonly #logger: ILogger;

  constructor(logger: ILogger) {
    super();
    this.#logger = logger;
  }

  async send(request: HttpRequest): Promise<HttpResponse> {
    const { abortSignal, method, url, content, headers, timeout, responseType, withCredentials } = request;
    if (abortSignal?.aborted) {
      throw new AbortError();
    }
    if (!method) {
      throw new Error("No method defined.");
    }
    if (!url) {
      throw new Error("No url defined.");
    }
    const controller = new AbortController();
    let cause: Error | undefined;
    const abort = (error: Error): void => {
      cause ??= error;
      controller.abort();
    };
    const onAbort = (): void => abort(new AbortError());
    abortSignal?.addEventListener("abort", onAbort);
    const timer = timeout ? setTimeout(() => abort(new TimeoutError()), timeout) : undefined;
    try {
      const response = await fetch(url, {
        body: content || null,
        cache: "no-cache",
        credentials: withCredentials === true ? "include" : "same-origin",
        headers: {
          "X-Requested-With": "XMLHttpRequest",
          ...(content && {
            "Content-Type": typeof content === "string" ? "text/plain;charset=UTF-8" : "application/octet-stream",
          }),
          ...headers,
        },
        method,
        signal: controller.signal,
      });
      if (!response.ok) {
        throw new HttpError((await response.text()) || response.statusText, response.status);
      }
      const body = responseType === "arraybuffer" ? await response.arrayBuffer() : await response.text();
      return new HttpResponse(response.status, response.statusText, body);
    } catch (error) {
      this.#logger.log(LogLevel.Warning, `Error from HTTP request. ${cause ?? error}.`);
      throw cause ?? error;
    } finally {
      clearTimeout(timer);
      abortSignal?.removeEventListener("abort", onAbort);
    }
  }
}
