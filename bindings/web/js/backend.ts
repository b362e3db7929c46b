/** The platform of browsers: `backend.ts` of the shared API over the core in WebAssembly. */

import type {
  Backend, BackendCallOptions, BackendConfig, BackendConnection, BackendEvents, CallKind, Fault, Hint, Metrics, Milliseconds, Reply,
} from "../../js/src/backend.js";
import { HubError, toError } from "../../js/src/errors.js";
import { Connection } from "../build/wasm/hubwire_web.js";
import type { Codec } from "./codec.js";
import { metricsOf } from "./events.js";
import { Host, slotOf } from "./host.js";
import { Input } from "./inputs.js";
import { load, loaded, type ModuleSource } from "./load.js";
import { watchPage } from "./page.js";

const KINDS: Record<CallKind, number> = { send: 0, invoke: 1, stream: 2 };
const HINTS: readonly Hint[] = ["online", "offline", "resumed", "foreground", "background"];
/** As {@link Input.Reply} counts them. */
const REPLIES: readonly Reply["type"][] = ["void", "error", "noHandler", "manyHandlers"];

/** What {@link Host.enter} is given. */
type Use = (core: Connection, now: number) => void;

/** Commands that may wait for the module. */
const MAX_COMMANDS = 65_536;

function random(bytes: number): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A seed for the core: a whole number that a double holds. */
const seed = (): number => parseInt(random(6), 16);

function isCodec(protocol: unknown): protocol is Codec {
  return typeof (protocol as Partial<Codec>).call_ === "function";
}

class WebConnection implements BackendConnection {
  readonly #host: Host;
  readonly #source: ModuleSource;
  /** Commands that came before the module; none afterwards. */
  #early: Use[] | undefined = [];
  #starting: { resolve: () => void; reject: (error: Error) => void }[] = [];
  #stopping: (() => void)[] = [];
  #unwatch: (() => void) | undefined;
  #isLoading = false;

  constructor(config: BackendConfig, events: BackendEvents, source: ModuleSource) {
    if (!isCodec(config.protocol)) {
      throw new HubError("Misuse", `The hub protocol '${config.protocol.name}' is not one of this package.`);
    }
    this.#source = source;
    this.#host = new Host(config, config.protocol, events);
    this.#host.onState = (state, cause) => this.#stateChanged(state, cause.type === "failed" ? cause.error : undefined, cause.type);
    if (loaded()) {
      this.#begin();
    }
  }

  #begin(): void {
    const { config, codec } = this.#host;
    const { http: _http, protocol: _protocol, ...settings } = config;
    this.#host.core = new Connection({ ...settings, encoding: codec.name, clientId: random(16) }, seed(), this.#host as never);
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const use of early) {
      this.#host.enter(use);
    }
  }

  /** Begins to load, and does what was asked for meanwhile in its order. */
  #load(): void {
    if (this.#isLoading || !this.#early) {
      return;
    }
    this.#isLoading = true;
    load(this.#source).then(
      () => {
        this.#isLoading = false;
        if (this.#early) {
          this.#begin();
        }
      },
      (error: unknown) => {
        this.#isLoading = false;
        this.#early = [];
        const text = `The WebAssembly module could not be loaded: ${error instanceof Error ? error.message : String(error)}`;
        this.#settle({ kind: "Network", text });
      },
    );
  }

  #enter(use: Use): void {
    if (!this.#early) {
      this.#host.enter(use);
    } else if (this.#early.length < MAX_COMMANDS) {
      this.#early.push(use);
    } else {
      throw new HubError("Overflow", "Too many calls wait for the WebAssembly module.");
    }
  }

  #stateChanged(state: string, error: Fault | undefined, cause: string): void {
    if (state === "Connected") {
      this.#settle(undefined);
      this.#unwatch ??= watchPage((hint) => this.hint(hint));
    } else if (state === "Disconnected") {
      this.#unwatch?.();
      this.#unwatch = undefined;
      const text = cause === "serverClosed" ? "The server closed the connection." : "The connection was stopped before it could be started.";
      this.#settle(error ?? { kind: cause === "serverClosed" ? "Refused" : "Cancelled", text });
      for (const resolve of this.#stopping.splice(0)) {
        resolve();
      }
    } else if (state === "Connecting") {
      this.#unwatch ??= watchPage((hint) => this.hint(hint));
    }
  }

  #settle(error: Fault | undefined): void {
    for (const { resolve, reject } of this.#starting.splice(0)) {
      if (error) {
        reject(toError(error));
      } else {
        resolve();
      }
    }
  }

  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      const broken = this.#host.broken;
      if (broken) {
        reject(toError(broken));
        return;
      }
      this.#enter((core, now) => {
        try {
          core.start(now);
          this.#starting.push({ resolve, reject });
        } catch (thrown) {
          if (typeof thrown !== "string") {
            throw thrown;
          }
          reject(new HubError("Misuse", thrown));
        }
      });
      if (this.#early) {
        this.#starting.push({ resolve: () => {}, reject });
        this.#load();
      }
    });
  }

  stop(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#host.broken) {
        resolve();
        return;
      }
      this.#stopping.push(resolve);
      this.#enter((core, now) => {
        core.input(Input.Stop, now, 0, 0, 0);
        if (core.isDisconnected()) {
          for (const stopped of this.#stopping.splice(0)) {
            stopped();
          }
        }
      });
      if (this.#early) {
        this.#load();
      }
    });
  }

  call(call: number, kind: CallKind, target: string, args: readonly unknown[], uploads: readonly number[], options: BackendCallOptions | undefined): void {
    const encoded = this.#host.codec.write_(args);
    const make: Use = (core, now) => {
      const [slot, size] = slotOf(encoded);
      core.call(now, call, KINDS[kind], target, slot, size, uploads.length > 0 ? [...uploads] : undefined, options);
    };
    if (this.#early) {
      this.#enter(make);
      this.#load();
    } else {
      this.#host.call(call, make);
    }
  }

  cancel(call: number): void {
    this.#enter((core, now) => core.input(Input.Cancel, now, call, 0, 0));
  }

  uploadItem(upload: number, item: unknown): void {
    const encoded = this.#host.codec.write_(item);
    this.#enter((core, now) => core.input(Input.Upload, now, upload, ...slotOf(encoded)));
  }

  uploadEnd(upload: number, error: string | undefined): void {
    this.#enter((core, now) => core.input(Input.EndUpload, now, upload, 0, 0, error));
  }

  handled(delivery: number, reason: string | undefined): void {
    this.#enter((core, now) => core.input(Input.Handled, now, delivery, 0, 0, reason));
  }

  acknowledge(messageId: string): void {
    this.#enter((core, now) => core.input(Input.Acknowledge, now, 0, 0, 0, messageId));
  }

  nack(messageId: string, reason: string): void {
    this.#enter((core, now) => core.input(Input.Nack, now, 0, 0, 0, messageId, reason));
  }

  reply(reply: number, answer: Reply): void {
    if (answer.type === "value") {
      try {
        const encoded = this.#host.codec.write_(answer.value);
        this.#enter((core, now) => core.input(Input.ReplyValue, now, reply, ...slotOf(encoded)));
      } catch (thrown) {
        // The server waits: it is told that there is no value.
        this.reply(reply, { type: "error", text: String(thrown) });
      }
      return;
    }
    const error = answer.type === "error" ? answer.text : undefined;
    this.#enter((core, now) => core.input(Input.Reply, now, reply, REPLIES.indexOf(answer.type), 0, error));
  }

  hint(hint: Hint): void {
    this.#enter((core, now) => core.input(Input.Hint, now, 0, HINTS.indexOf(hint), 0));
  }

  metrics(): Promise<Metrics> {
    return this.#ask((core) => metricsOf(core.metrics()));
  }

  positions(): Promise<string[]> {
    return this.#ask((core) => core.positions() as string[]);
  }

  #ask<T>(question: (core: Connection) => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const broken = this.#host.broken;
      if (broken) {
        reject(toError(broken));
        return;
      }
      this.#enter((core) => resolve(question(core)));
      this.#load();
    });
  }

  configure(change: { url?: string; keepAliveInterval?: Milliseconds; serverTimeout?: Milliseconds }): void {
    this.#enter((core) => core.configure(change.url, change.keepAliveInterval, change.serverTimeout));
  }

  dispose(): void {
    this.#unwatch?.();
    this.#host.dispose();
  }
}

/** The backend over a module that is loaded from there. */
export const webBackend = (source: ModuleSource): Backend => ({
  connect: (config, events) => new WebConnection(config, events, source),
});
