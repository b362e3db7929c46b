/** One connection as the shared API sees it. Until the module is loaded, what it is told to do waits. */

import type {
  BackendCallOptions, BackendConfig, BackendConnection, BackendEvents, CallKind, Fault, Hint, Metrics, Milliseconds, Reply,
} from "../../js/src/backend.js";
import { HubError, toError } from "../../js/src/errors.js";
import { Connection } from "../build/wasm/hubwire_web.js";
import type { Codec } from "./codec.js";
import { sendLeft } from "./courier.js";
import { EarlyConnection } from "./early.js";
import { metricsOf } from "./events.js";
import { Host, RESTORED, slotOf, weakly } from "./host.js";
import { Input, Status } from "./inputs.js";
import { load, loaded, type ModuleSource } from "./load.js";
import { watchPage } from "./page.js";
import { randomName, randomSeed } from "./random.js";
import { TabStore, type Part } from "./store.js";

const KINDS: Record<CallKind, number> = { send: 0, invoke: 1, stream: 2 };
const HINTS: readonly Hint[] = ["online", "offline", "resumed", "foreground", "background"];
/** As {@link Input.Reply} counts them. */
const REPLIES: readonly Reply["type"][] = ["void", "error", "noHandler", "manyHandlers"];

/** What {@link Host.enter} is given. */
type Use = (core: Connection, now: number) => void;

/** Commands that may wait for the module. */
const MAX_COMMANDS = 65_536;

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

function isCodec(protocol: unknown): protocol is Codec {
  return typeof (protocol as Partial<Codec>).call_ === "function";
}

interface Waiter {
  resolve(): void;
  reject(error: Error): void;
}

export class WebConnection implements BackendConnection {
  readonly #host: Host;
  readonly #events: BackendEvents;
  readonly #source: ModuleSource;
  readonly #name = randomName(16);
  /** Commands that came before the module, in order; none afterwards. */
  #early: Use[] | undefined = [];
  #isLoading = false;
  #starting: Waiter[] = [];
  #stopping: (() => void)[] = [];
  #unwatch: (() => void) | undefined;
  #store: TabStore | undefined;
  #part: Part | undefined;

  /** `part` is what another page has left in the store, for a connection that only sends that. */
  constructor(config: BackendConfig, events: BackendEvents, source: ModuleSource, part?: Part) {
    if (!isCodec(config.protocol)) {
      throw new HubError("Misuse", `The hub protocol '${config.protocol.name}' is not one of this package.`);
    }
    this.#source = source;
    this.#events = events;
    this.#part = part;
    this.#host = new Host(config, config.protocol, events);
    this.#host.onState = (state, cause) => this.#stateChanged(state, cause.type === "failed" ? cause.error : undefined, cause.type);
    if (loaded() && config.store === undefined) {
      this.#begin();
    }
  }

  #begin(): void {
    const { config, codec } = this.#host;
    const { http: _http, protocol: _protocol, ...settings } = config;
    this.#host.core = new Connection({ ...settings, encoding: codec.name, clientId: this.#name }, randomSeed(), weakly(this.#host) as never);
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
    const { store } = this.#host.config;
    const loading = load(this.#source).catch((error: unknown) => {
      throw new Error(`The WebAssembly module could not be loaded: ${textOf(error)}`);
    });
    Promise.all([loading, store === undefined ? undefined : this.#restore(store)]).then(
      ([, restore]) => {
        if (this.#early) {
          this.#early.unshift(...(restore ? [restore] : []));
          this.#begin();
        }
      },
      (error: unknown) => {
        this.#isLoading = false;
        this.#fail({ kind: "Misuse", text: textOf(error) });
      },
    );
  }

  /** Neither the module nor the store may be missing: everything that waits for them ends. */
  #fail(fault: Fault): void {
    this.#early = [];
    for (const call of this.#calls.splice(0)) {
      this.#events.completed(call, fault, undefined);
    }
    this.#settle(fault);
    this.#host.onState?.("Disconnected", { type: "failed", error: fault });
    this.#events.stateChanged("Disconnected", { type: "failed", error: fault });
  }

  /** Calls that wait for the module. */
  #calls: number[] = [];

  /** Reads the store; gives what is to be done first of all. */
  async #restore(name: string): Promise<Use> {
    try {
      if (!this.#part) {
        this.#store ??= await TabStore.open(name);
        this.#part = await this.#store.own(this.#name);
      }
      const part = this.#part;
      const { next, calls } = await part.load(this.#host.codec);
      this.#host.part = part;
      const found = calls.map((call, index) => ({ ...call, id: RESTORED + index }));
      return (core, now) => {
        const restored = found.filter(({ encoded }) => encoded).map(({ record, encoded, id }) => {
          const [slot, size] = slotOf(encoded!);
          return { ...record, slot, size, call: id };
        });
        core.restored(now, next, part.name, restored);
        this.#events.restored(found.map(({ record, id }) => ({ call: RESTORED - id - 1, target: record.target })));
        for (const { record, id } of found.filter(({ encoded }) => !encoded)) {
          const text = `A stored call of '${record.target}' was written for another encoding. It stays in the store.`;
          this.#events.completed(RESTORED - id - 1, { kind: "Misuse", text }, undefined);
        }
      };
    } catch (error) {
      this.#events.restored([]);
      throw new Error(`The store of the outbox cannot be read: ${textOf(error)}`);
    }
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
      this.#watchStore();
    }
    if (state === "Connected" || state === "Connecting") {
      this.#unwatch ??= watchPage(
        (hint) => this.hint(hint),
        () => this.#leave(),
      );
    } else if (state === "Disconnected") {
      this.#unwatch?.();
      this.#unwatch = undefined;
      const isServer = cause === "serverClosed";
      const text = isServer ? "The server closed the connection." : "The connection was stopped before it could be started.";
      this.#settle(error ?? { kind: isServer ? "Refused" : "Cancelled", text });
      for (const resolve of this.#stopping.splice(0)) {
        resolve();
      }
    }
  }

  /** The page may be kept: the socket would keep it from that. A connection that is not made again stays as it is. */
  #leave(): void {
    const { retry } = this.#host.config;
    if (retry && retry.type !== "never") {
      this.#host.closeSockets();
    }
  }

  #watchStore(): void {
    const { config } = this.#host;
    void this.#store
      ?.watch((part) => {
        sendLeft(part, config, this.#events, (config, events, part) => new WebConnection(config, events, this.#source, part));
      })
      .catch(() => {});
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
      const { broken, config } = this.#host;
      if (broken) {
        reject(toError(broken));
        return;
      }
      const waiter = { resolve, reject };
      if (this.#early) {
        // Rejected if the module cannot be had.
        this.#starting.push(waiter);
      }
      this.#enter((core, now) => {
        try {
          core.start(now);
          if (!this.#starting.includes(waiter)) {
            this.#starting.push(waiter);
          }
        } catch (thrown) {
          if (typeof thrown !== "string") {
            throw thrown;
          }
          this.#starting = this.#starting.filter((other) => other !== waiter);
          reject(new HubError("Misuse", thrown));
        }
      });
      if (this.#early && !this.#isLoading && !loaded()) {
        this.#host.early = new EarlyConnection(config, config.sessionId ?? this.#name);
        this.#host.early.begin(this.#host.requests, this.#events);
      }
      this.#load();
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
        if (core.status(0) & Status.Disconnected) {
          for (const stopped of this.#stopping.splice(0)) {
            stopped();
          }
        }
      });
      this.#load();
    });
  }

  call(call: number, kind: CallKind, target: string, args: readonly unknown[], uploads: readonly number[], options: BackendCallOptions | undefined): void {
    const encoded = this.#host.codec.write_(args);
    const make: Use = (core, now) => {
      const [slot, size] = slotOf(encoded);
      core.call(now, call, KINDS[kind], target, slot, size, uploads.length > 0 ? [...uploads] : undefined, options);
    };
    if (this.#early) {
      this.#calls.push(call);
      this.#enter(() => {
        this.#calls = this.#calls.filter((other) => other !== call);
        this.#host.call(call, make);
      });
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
    this.#store?.close();
    this.#part?.release();
  }
}
