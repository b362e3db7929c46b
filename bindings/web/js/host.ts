/**
 * One connection: the core in WebAssembly on one side, the application and the browser on the other.
 *
 * The core is called once for whatever happens, and calls back into this object while it works. What it tells the
 * application waits until it is done, because the application may call it again.
 */

import type { BackendConfig, BackendEvents, Cause, Fault, StateName } from "../../js/src/backend.js";
import { HubError } from "../../js/src/errors.js";
import type { HttpResponse } from "../../js/src/http.js";
import type { Connection } from "../build/wasm/hubwire_web.js";
import { Clock } from "./clock.js";
import { ProtocolFault, TooLarge, type Codec, type FlatHeaders, type Frame, type Sink } from "./codec.js";
import { type EarlyConnection } from "./early.js";
import { causeOf, eventOf, faultOf } from "./events.js";
import { Input, Status } from "./inputs.js";
import { joined, listeners, openEventSource, openWebSocket } from "./links.js";
import { handshaken, negotiated } from "./negotiate.js";
import { keep, peek, sizeOf, take, useWriter, type Encoded } from "./payloads.js";
import { Requests } from "./requests.js";

/** The record separator of a handshake response, under either encoding. */
const SEPARATOR = 0x1e;
/** As in the native client. */
const MAX_MESSAGE = 16 * 1024 * 1024;
/** The longest delay of `setTimeout`. */
const LONGEST = 2 ** 31 - 1;
/** When what waits for room in the socket is tried again, in milliseconds. */
const ROOM = 20;
/** Calls that may wait for room. */
const MAX_WAITING = 65_536;
/** Names of methods that are remembered. */
const MAX_NAMES = 1_000;
/** Ids of calls that the store held: the application's own never get there. */
const RESTORED = 2 ** 52;

/** Keeps durable calls. */
export interface Store {
  write(changes: unknown[]): Promise<void>;
}

export class Host implements Sink {
  readonly config: BackendConfig;
  readonly codec: Codec;
  readonly requests: Requests;
  /** Set before anything else happens. */
  core!: Connection;
  early: EarlyConnection | undefined;
  part: Store | undefined;
  readonly #events: BackendEvents;
  readonly #clock = new Clock();
  readonly #limit: number;
  /** Whether calls of a method may pass without being looked into. */
  readonly #plain = new Map<string, boolean>();
  /** Calls that have not ended: they end here if the core cannot end them. */
  readonly #calls = new Set<number>();
  /** Made while there was no room; in order. */
  #waiting: (() => void)[] = [];
  /** What is to be told when the core is done, and what happened while it was not. */
  #told: (() => void)[] = [];
  #inputs: (() => void)[] = [];
  #isBusy = false;
  #isTelling = false;
  #broken: Fault | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #room: ReturnType<typeof setTimeout> | undefined;
  /** Sockets that are open or being opened, by link. */
  readonly #sockets = new Map<number, { close(): void }>();
  /** What came of an unfinished message, and the link whose frame is being read. */
  #rest: string | Uint8Array | undefined;
  #reading = 0;
  /** The link whose handshake is over, if it is still there. */
  #established = 0;
  #at = 0;

  constructor(config: BackendConfig, codec: Codec, events: BackendEvents) {
    this.config = config;
    this.codec = codec;
    this.#events = events;
    this.#limit = config.maxMessageSize ?? MAX_MESSAGE;
    useWriter(codec.encoding_, codec.write_);
    this.requests = new Requests(config, codec.encoding_ === 1, this, events);
  }

  get broken(): Fault | undefined {
    return this.#broken;
  }

  /** Calls the core. What it says of misuse is thrown; anything else that it throws is its end. */
  enter<T>(use: (core: Connection, now: number) => T): T | undefined {
    if (this.#broken) {
      return undefined;
    }
    if (this.#isBusy) {
      // A transport of the application's that answers at once.
      this.#inputs.push(() => void this.enter(use));
      return undefined;
    }
    this.#isBusy = true;
    try {
      return use(this.core, this.#clock.now());
    } catch (thrown) {
      if (typeof thrown === "string") {
        throw new HubError("Misuse", thrown);
      }
      this.#break(thrown);
      return undefined;
    } finally {
      this.#leave();
    }
  }

  #leave(): void {
    this.#isBusy = false;
    for (let input = this.#inputs.shift(); input; input = this.#inputs.shift()) {
      input();
    }
    this.#tell();
  }

  #tell(): void {
    if (this.#isTelling) {
      return;
    }
    this.#isTelling = true;
    while (this.#told.length > 0) {
      const told = this.#told;
      this.#told = [];
      for (const tell of told) {
        tell();
      }
    }
    this.#isTelling = false;
    this.#resume();
  }

  // Calls of the application.

  /** Makes a call as soon as there is room. */
  call(id: number, make: (core: Connection, now: number) => void): void {
    if (this.#broken) {
      this.#events.completed(id, this.#broken, undefined);
      return;
    }
    this.#calls.add(id);
    if (this.#waiting.length === 0 && this.#hasRoom()) {
      this.enter(make);
    } else if (this.#waiting.length < MAX_WAITING) {
      this.#waiting.push(() => void this.enter(make));
    } else {
      this.#end(id, { kind: "Overflow", text: "Too many calls wait for the connection to take them." }, undefined);
    }
  }

  #hasRoom(): boolean {
    return this.#isBusy || !!(this.core.status(0) & Status.WantsCalls);
  }

  #resume(): void {
    while (this.#waiting.length > 0 && !this.#broken && this.#hasRoom()) {
      this.#waiting.shift()!();
    }
    if (this.#waiting.length > 0 && this.#room === undefined && !this.#broken) {
      this.#room = setTimeout(() => {
        this.#room = undefined;
        this.#resume();
      }, ROOM);
    }
  }

  #end(id: number, error: Fault | undefined, value: unknown): void {
    this.#calls.delete(id);
    this.#events.completed(id >= RESTORED ? RESTORED - id - 1 : id, error, value);
  }

  // What the driver asks for.

  wake(delay: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.enter((core, now) => core.input(Input.Tick, now, 0, 0, 0)), Math.min(delay, LONGEST));
  }

  encodeCall(type: number, id: string | undefined, target: string, args: number, streams: string[] | undefined, headers: FlatHeaders | undefined): Frame {
    return this.codec.call_(type, id, target, peek(args) as Encoded, streams, headers);
  }

  encode(type: number, text: string | undefined, slot: number, error: string | undefined, number: number): Frame {
    const payload = peek(slot) as Encoded;
    switch (type) {
      case 2:
        return this.codec.item_(text!, payload);
      case 3:
        return this.codec.completion_(text!, payload, error);
      default:
        return this.codec.control_(type, text, number);
    }
  }

  join(frames: Frame[]): Frame {
    return this.codec.join_(frames);
  }

  webSocket(link: number, url: string, token: string | undefined): WebSocket {
    const early = this.early?.socket(url, token);
    if (early?.readyState === 1) {
      // Its event is over.
      this.#inputs.push(() => early.onopen?.(new Event("open")));
    }
    return this.#opening(link, early ?? openWebSocket(this.config, url, token));
  }

  eventSource(link: number, url: string, token: string | undefined): EventSource {
    return this.#opening(link, openEventSource(this.config, url, token));
  }

  /** Kept so that it can be closed when the core cannot do it any more. */
  #opening<T extends { close(): void }>(link: number, socket: T): T {
    this.#sockets.set(link, socket);
    return socket;
  }

  listener(link: number, event: number): (event: never) => void {
    this.#listeners ??= { link, of: listeners(link, this) };
    if (this.#listeners.link !== link) {
      this.#listeners = { link, of: listeners(link, this) };
      this.#rest = undefined;
    }
    return this.#listeners.of[event]!;
  }

  #listeners: { link: number; of: ((event: never) => void)[] } | undefined;

  session(link: number, url: string, token: string | undefined): void {
    this.#rest = undefined;
    this.requests.session(link, url, token);
  }

  request(request: number, kind: number, link: number, body: Frame | undefined): void {
    this.requests.start(request, kind, link, body);
  }

  requestAt(request: number, kind: number, url: string, token: string | undefined): void {
    this.requests.startAt(request, kind, url, token, kind === 0 ? this.early?.negotiation(url, token) : undefined);
  }

  abandon(link: number): void {
    if (link === this.#established) {
      this.#established = 0;
    }
    // A stream of events that has failed would be opened again by the browser.
    this.#sockets.get(link)?.close();
    this.#sockets.delete(link);
    this.requests.abandon(link);
  }

  token(request: number): void {
    const answer = (token: string | undefined, error: string | undefined): void => {
      this.enter((core, now) => core.input(Input.Token, now, request, 0, 0, token, error));
    };
    void (async () => this.early?.token() ?? this.#events.token())().then(
      (token) => answer(token ?? undefined, undefined),
      (error: unknown) => answer(undefined, error instanceof Error ? error.message : String(error)),
    );
  }

  retry(request: number, previousRetryCount: number, elapsed: number, [kind, text]: string[]): void {
    const ask = (): boolean => {
      const delay = this.#events.retryDelay({ previousRetryCount, elapsed, reason: faultOf(kind, text)! });
      this.enter((core, now) => core.input(Input.RetryAfter, now, request, delay ?? -1, 0));
      return delay !== null;
    };
    // As in the official client: a policy that gives up at once makes no reconnecting connection, but a closed one.
    const at = this.#told.findIndex((tell) => tell === this.#reconnecting);
    const tell = this.#reconnecting;
    if (at < 0 || !tell) {
      this.#told.push(ask);
    } else {
      this.#told[at] = () => void (ask() && tell());
    }
  }

  /** Tells the application that the connection was lost, if that is still to be done. */
  #reconnecting: (() => void) | undefined;

  store(batch: number, changes: unknown[]): void {
    const answer = (error: string | undefined): void => {
      this.enter((core, now) => core.input(Input.Stored, now, batch, 0, 0, error));
    };
    // The payloads are taken at once: their slots are ours.
    const written = this.part?.write(changes) ?? Promise.reject(new Error("There is no store."));
    written.then(
      () => answer(undefined),
      (error: unknown) => answer(error instanceof Error ? error.message : String(error)),
    );
  }

  // What the driver tells.

  state(allow: boolean, [state, cause, id, previous, kind, text]: (string | undefined)[]): void {
    const why = causeOf(cause!, allow, id, previous, faultOf(kind, text));
    const tell = (): void => this.#stateChanged(state as StateName, why);
    this.#reconnecting = state === "Reconnecting" ? tell : undefined;
    this.#told.push(tell);
  }

  #stateChanged(state: StateName, cause: Cause): void {
    if (state === "Connected" || state === "Disconnected") {
      this.early?.end();
      this.early = undefined;
    }
    this.onState?.(state, cause);
    this.#events.stateChanged(state, cause);
  }

  onState: ((state: StateName, cause: Cause) => void) | undefined;

  invocation(target: string, args: number, reply: number, delivery: number): void {
    const list = take(args) as unknown[];
    this.#told.push(() => this.#events.invocation(target, list, idOf(reply), idOf(delivery)));
  }

  completed(call: number, value: number, kind: string | undefined, text: string | undefined): void {
    const [result, error] = [take(value), faultOf(kind, text)];
    this.#told.push(() => this.#end(call, error, result));
  }

  item(call: number, item: number): void {
    const value = take(item);
    this.#told.push(() => this.#events.item(call, value));
  }

  event(name: string, a: number, b: number, c: number, texts: string[]): void {
    this.#told.push(() => {
      switch (name) {
        case "queued":
        case "uploadStarted":
        case "uploadStopped":
        case "invocationCancelled":
          return this.#events[name](a);
        default: {
          const event = eventOf(name, [a, b, c], texts);
          if (event) {
            this.#events.event(event);
          }
        }
      }
    });
  }

  // What links and requests tell.

  opened(link: number): void {
    this.enter((core, now) => core.input(Input.Opened, now, link, 0, 0));
  }

  closed(link: number, code: number, text: string): void {
    this.enter((core, now) => core.input(Input.Closed, now, link, code, 0, text));
  }

  responded(request: number, kind: number, link: number, response: HttpResponse): void {
    const { content, statusCode } = response;
    if (kind === 0) {
      const body = typeof content === "string" ? content : new TextDecoder().decode(content);
      this.enter((core, now) => negotiated(core, now, request, body));
      return;
    }
    const isOver = statusCode === 204;
    if (kind === 3 && !isOver && content && (typeof content === "string" ? content.length : content.byteLength) > 0) {
      this.received(link, typeof content === "string" ? content : new Uint8Array(content));
    }
    const lifetime = kind === 1 && typeof content === "string" ? lifetimeIn(content) : -1;
    this.enter((core, now) => core.input(Input.Answered, now, request, lifetime, +isOver));
  }

  failed(request: number, status: number, text: string): void {
    this.enter((core, now) => core.input(Input.Failed, now, request, status, -1, text));
  }

  /** A frame, or what a poll brought. */
  received(link: number, data: string | Uint8Array, stamp?: number): void {
    if (this.#broken) {
      return;
    }
    if (this.#isBusy) {
      this.#inputs.push(() => this.received(link, data, stamp));
      return;
    }
    this.#at = this.#clock.soon(stamp);
    this.#reading = link;
    try {
      if (link === this.#established) {
        this.#rest = this.codec.decode_(this.#rest === undefined ? data : joined(this.#rest, data), this.#limit, this);
      } else {
        this.#first(link, data);
      }
    } catch (thrown) {
      this.#malformed(link, thrown);
    }
  }

  /** What comes before the handshake is over, or from a link that was left behind. */
  #first(link: number, data: string | Uint8Array): void {
    const status = this.core.status(link);
    if (!(status & (Status.ReadsHandshake | Status.ReadsMessages))) {
      return;
    }
    let whole: string | Uint8Array | undefined = joined(this.#rest, data);
    if (status & Status.ReadsHandshake) {
      this.#rest = undefined;
      whole = this.#handshake(link, whole);
    }
    // The server may have refused, and the rest may come later.
    if (!(this.core.status(link) & Status.ReadsMessages)) {
      this.#rest = whole;
      return;
    }
    this.#established = link;
    this.#rest = whole === undefined ? undefined : this.codec.decode_(whole, this.#limit, this);
  }

  /** The first record; gives what follows it. */
  #handshake(link: number, data: string | Uint8Array): string | Uint8Array | undefined {
    const end = typeof data === "string" ? data.indexOf("\u001e") : data.indexOf(SEPARATOR);
    if (end < 0) {
      if (data.length > this.#limit) {
        throw new TooLarge();
      }
      return data;
    }
    const head = data.slice(0, end);
    const text = typeof head === "string" ? head : new TextDecoder().decode(head);
    this.enter((core, now) => handshaken(core, now, link, text));
    const tail = data.slice(end + 1);
    return tail.length > 0 ? tail : undefined;
  }

  #malformed(link: number, thrown: unknown): void {
    if (thrown instanceof TooLarge) {
      this.enter((core, now) => core.input(Input.Malformed, now, link, this.#limit, 0));
    } else if (thrown instanceof ProtocolFault) {
      this.enter((core, now) => core.input(Input.Malformed, now, link, 0, 0, thrown.message));
    } else {
      this.#isBusy = false;
      this.#break(thrown);
    }
  }

  // Decoded messages: the core is called for each.

  #use(use: (core: Connection) => void): void {
    this.enter((core) => use(core));
  }

  invoked_(target: string, args: unknown[], size: number): void {
    // Of most messages the core has to know no more than that they came.
    if (this.#isIdle && (this.#plain.get(target) ?? this.#isPlain(target)) && this.core.passes(this.#at, this.#reading)) {
      this.#events.invocation(target, args, undefined, undefined);
    } else {
      this.receivedCall_(1, undefined, target, args, size, undefined, undefined);
    }
  }

  /** Nothing is to be told or done before what comes now. */
  get #isIdle(): boolean {
    return this.#told.length === 0 && this.#inputs.length === 0 && !this.#isTelling && !this.#broken;
  }

  #isPlain(target: string): boolean {
    const isPlain = this.core.isPlain(target);
    // Names come from outside.
    if (this.#plain.size < MAX_NAMES) {
      this.#plain.set(target, isPlain);
    }
    return isPlain;
  }

  receivedCall_(type: 1 | 4, id: string | undefined, target: string, args: unknown[], size: number, streams: string[] | undefined, headers: FlatHeaders | undefined): void {
    this.#use((core) => core.receivedCall(this.#at, this.#reading, type, id, target, keep(args, size), size, streams, headers));
  }

  receivedItem_(id: string, item: unknown, size: number): void {
    this.#use((core) => core.input(Input.Item, this.#at, this.#reading, keep(item, size), size, id));
  }

  receivedCompletion_(id: string, hasValue: boolean, value: unknown, size: number, error: string | undefined): void {
    const slot = hasValue && error === undefined ? keep(value, size) : 0;
    this.#use((core) => core.input(Input.Completion, this.#at, this.#reading, slot, size, id, error));
  }

  receivedControl_(type: number, id: string | undefined, sequenceId: number): void {
    this.#use((core) => core.input(type, this.#at, this.#reading, sequenceId, 0, id));
  }

  receivedClose_(error: string | undefined, allowReconnect: boolean, retryAfter: number): void {
    this.#use((core) => core.input(Input.Close, this.#at, this.#reading, +allowReconnect, retryAfter, undefined, error));
  }

  // The end.

  /** The core has trapped: nothing that it knows can be trusted. Everything ends, with an error. */
  #break(thrown: unknown): void {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    const fault: Fault = { kind: "OutcomeUnknown", text: `The connection was closed because its core has failed: ${reason}` };
    this.#broken = fault;
    this.#close();
    const calls = [...this.#calls];
    this.#told.push(() => {
      for (const call of calls) {
        this.#end(call, fault, undefined);
      }
      this.onState?.("Disconnected", { type: "failed", error: fault });
      this.#events.broken(fault);
    });
    this.#leave();
  }

  /** The core hears of it as of any connection that is lost. */
  closeSockets(): void {
    for (const socket of this.#sockets.values()) {
      socket.close();
    }
  }

  #close(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#room);
    this.closeSockets();
    this.#sockets.clear();
    this.requests.clear();
    this.#waiting = [];
  }

  dispose(): void {
    if (!this.#broken) {
      this.enter((core, now) => core.input(Input.Dispose, now, 0, 0, 0));
      this.#broken = { kind: "Misuse", text: "The connection was disposed of." };
      this.#close();
      this.core.free();
    }
  }
}

const idOf = (id: number): number | undefined => (id < 0 ? undefined : id);

type Method = (...args: unknown[]) => unknown;

/**
 * The host as the core has it. What the core holds is never collected, and the host holds the core: so it has only what leads to the
 * host while something else holds that, as sockets, requests and timers do.
 */
export function weakly(host: Host): object {
  const reference = new WeakRef(host);
  const methods = Object.entries(Object.getOwnPropertyDescriptors(Host.prototype)).filter(
    ([name, { value }]) => typeof value === "function" && name !== "constructor",
  );
  return Object.fromEntries(
    methods.map(([name, { value }]) => {
      const method: Method = (...args) => (value as Method).apply(reference.deref(), args);
      return [name, method];
    }),
  );
}

/** How long a token is valid, in seconds, in the answer to its refresh; -1 if it does not say. */
function lifetimeIn(body: string): number {
  try {
    const lifetime = (JSON.parse(body) as { tokenLifetimeSeconds?: unknown }).tokenLifetimeSeconds;
    return typeof lifetime === "number" && lifetime >= 0 ? lifetime : -1;
  } catch {
    return -1;
  }
}

/** An argument for the core: the slot and the size of a value that is to be sent. */
export const slotOf = (encoded: Encoded): [slot: number, size: number] => {
  const size = sizeOf(encoded);
  return [keep(encoded, size), size];
};

export { RESTORED };
