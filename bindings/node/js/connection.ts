/** One connection as the shared API sees it: commands for the native module, and what it tells. */

import type {
  BackendCallOptions, BackendConfig, BackendConnection, BackendEvents, CallKind, Cause, ConnectionEvent, ErrorKind, Fault,
  Hint, Metrics, Milliseconds, Reply, RestoredCall, StateName,
} from "../../js/src/backend.js";
import { HubError, reasonOf, textOf, toError } from "../../js/src/errors.js";
import { checkMethod, checkText, checkTime, isPlain } from "./check.js";
import { isCodec, send, type Codec } from "./codec.js";
import { connect, hold, release, type Recipient } from "./courier.js";
import { faultOf } from "./faults.js";
import type { NativeConnection } from "./native.js";
import type { Network } from "./network.js";
import { Outbox } from "./outbox.js";
import { delayOf, tokenOf } from "./questions.js";
import { settingsOf } from "./settings.js";

const KINDS: Record<CallKind, number> = { send: 0, invoke: 1, stream: 2 };
const HINTS: readonly Hint[] = ["online", "offline", "resumed", "foreground", "background"];
/** In ids of sends that were over when they were made. */
const OVER = 2 ** 51;
const REPLIES: readonly Reply["type"][] = ["void", "error", "noHandler", "manyHandlers"];

interface Waiter {
  readonly ticket: number;
  resolve(): void;
  reject(error: Error): void;
}

interface StateNews {
  readonly state: StateName;
  readonly cause: Cause;
}

interface Question {
  readonly request: number;
  readonly previousRetryCount: number;
  readonly elapsed: Milliseconds;
  readonly reason: Fault;
  readonly change: StateNews | null;
}

interface Asker {
  resolve(value: never): void;
  reject(error: Error): void;
}

export class NodeConnection implements BackendConnection, Recipient {
  readonly #native: NativeConnection;
  readonly #events: BackendEvents;
  readonly #codec: Codec;
  readonly #outbox: Outbox | undefined;
  #state: StateName = "Disconnected";
  #ticket = 0;
  #starting: Waiter[] = [];
  #stopping: (() => void)[] = [];
  #rooms: (() => void)[] = [];
  #questions = new Map<number, Asker>();
  /** Calls without a connection of which nothing was heard: they may be refused. */
  #unheard = new Set<number>();
  #lastQuestion = 0;
  /** Calls that a stop has ended: told with the end of the connection, as the official client does. */
  #cancelled: { call: number; fault: Fault }[] = [];
  #isDisposed = false;
  /** The store is being read. */
  #isRestoring: boolean;

  constructor(config: BackendConfig, events: BackendEvents, network: Network) {
    const { protocol } = config;
    if (!isCodec(protocol)) {
      throw new HubError("Misuse", `The hub protocol '${String(protocol.name)}' is not one of this package.`);
    }
    this.#codec = protocol;
    this.#events = events;
    this.#outbox = config.outbox?.maxItems === 0 ? undefined : new Outbox((outbox) => events.event({ type: "outboxChanged", outbox }));
    try {
      this.#native = connect(settingsOf(config, network), this);
    } catch (thrown) {
      throw thrown instanceof HubError ? thrown : toError(faultOf(thrown));
    }
    this.#isRestoring = config.store !== undefined;
    if (this.#isRestoring) {
      // Somebody may wait for what is in it, before there is anything else to keep the process alive.
      this.#hold();
    }
  }

  // Commands.

  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      const ticket = ++this.#ticket;
      try {
        this.#native.start(ticket);
      } catch (thrown) {
        reject(toError(faultOf(thrown)));
        return;
      }
      this.#starting.push({ ticket, resolve, reject });
      this.#hold();
    });
  }

  stop(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#isDisposed) {
        resolve();
        return;
      }
      this.#stopping.push(resolve);
      this.#native.stop();
      this.#hold();
    });
  }

  call(call: number, kind: CallKind, target: string, args: readonly unknown[], uploads: readonly number[], options: BackendCallOptions | undefined): void {
    const encoded = this.#codec.write(args);
    try {
      checkMethod(target);
      if (!Object.hasOwn(KINDS, kind)) {
        throw new HubError("Misuse", `A call cannot be of the kind '${textOf(kind)}'.`);
      }
      const settings = options && JSON.stringify(options, isPlain);
      if (send.call(this.#native, call, KINDS[kind], target, encoded, uploads.length > 0 ? [...uploads] : undefined, settings)) {
        this.#events.completed(call, undefined, undefined);
        return;
      }
    } catch (thrown) {
      this.#events.completed(call, faultOf(thrown), undefined);
      return;
    }
    if (this.#state === "Disconnected") {
      this.#unheard.add(call);
      this.#hold();
    }
    // Of durable ones it is told when they are safe.
    if (this.#outbox && this.#state !== "Connected" && options?.queue !== false && options?.durable !== true) {
      this.#outbox.add(call, target.length + encoded.length);
    }
  }

  cancel(call: number): void {
    this.#command(() => this.#native.cancel(call));
  }

  uploadItem(upload: number, item: unknown): void | Promise<void> {
    const encoded = this.#codec.write(item);
    let hasRoom = true;
    try {
      hasRoom = send.item(this.#native, upload, encoded);
    } catch (thrown) {
      throw toError(faultOf(thrown));
    }
    return hasRoom ? undefined : new Promise((resolve) => this.#rooms.push(resolve));
  }

  uploadEnd(upload: number, error: string | undefined): void {
    this.#command(() => this.#native.endUpload(upload, error));
  }

  handled(delivery: number, reason: string | undefined): void {
    this.#command(() => this.#native.handled(delivery, reason));
  }

  acknowledge(messageId: string): void {
    checkText(messageId, "The id of a message");
    this.#demand(() => this.#native.acknowledge(messageId));
  }

  nack(messageId: string, reason: string): void {
    checkText(messageId, "The id of a message");
    checkText(reason, "The reason to refuse a message");
    this.#demand(() => this.#native.nack(messageId, reason));
  }

  reply(reply: number, answer: Reply): void {
    if (answer.type !== "value") {
      const error = answer.type === "error" ? answer.text : undefined;
      this.#command(() => this.#native.replyWithout(reply, REPLIES.indexOf(answer.type), error));
      return;
    }
    try {
      send.reply(this.#native, reply, this.#codec.write(answer.value));
    } catch (thrown) {
      // The server waits: it is told that there is no value.
      this.reply(reply, { type: "error", text: String(thrown) });
    }
  }

  hint(hint: Hint): void {
    const index = HINTS.indexOf(hint);
    if (index < 0) {
      throw new HubError("Misuse", `The hint '${textOf(hint)}' is not known.`);
    }
    this.#command(() => this.#native.hint(index));
  }

  metrics(): Promise<Metrics> {
    return this.#ask((question) => this.#native.metrics(question));
  }

  positions(): Promise<string[]> {
    return this.#ask((question) => this.#native.positions(question));
  }

  configure(change: { url?: string; keepAliveInterval?: Milliseconds; serverTimeout?: Milliseconds }): void {
    if ("keepAliveInterval" in change) {
      checkTime(change.keepAliveInterval, "The keep-alive interval");
    }
    if ("serverTimeout" in change) {
      checkTime(change.serverTimeout, "The server timeout");
    }
    this.#demand(() => this.#native.configure(change.url, change.keepAliveInterval, change.serverTimeout));
  }

  dispose(): void {
    this.#isDisposed = true;
    this.#native.dispose();
    const error: Fault = { kind: "Misuse", text: "The connection was disposed of." };
    this.#settle(error);
    this.#stopped();
    for (const { reject } of this.#questions.values()) {
      reject(toError(error));
    }
    this.#questions.clear();
    this.#letGo();
  }

  /** For what the application cannot be told of: a connection that was disposed of takes no commands. */
  #command(command: () => void): void {
    try {
      command();
    } catch (thrown) {
      if (!this.#isDisposed) {
        this.#events.log(4, faultOf(thrown).text);
      }
    }
  }

  /** For what the application gave. */
  #demand(command: () => void): void {
    try {
      command();
    } catch (thrown) {
      throw toError(faultOf(thrown));
    }
  }

  #ask<T>(ask: (question: number) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      const question = ++this.#lastQuestion;
      try {
        ask(question);
      } catch (thrown) {
        reject(toError(faultOf(thrown)));
        return;
      }
      this.#questions.set(question, { resolve: resolve as (value: never) => void, reject });
      this.#hold();
    });
  }

  #heard(call: number): void {
    this.#outbox?.heard(call);
    if (this.#unheard.delete(call)) {
      this.#letGo();
    }
  }

  /** Something is under way: neither is the connection collected, nor does the process end. */
  #hold(): void {
    hold(this.#native.number, this);
  }

  #letGo(): void {
    const waiting = this.#starting.length + this.#stopping.length + this.#questions.size + this.#unheard.size;
    const isBusy = this.#isRestoring || this.#state !== "Disconnected" || waiting > 0;
    if (!isBusy || this.#isDisposed) {
      release(this.#native.number);
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

  #tellCancelled(): void {
    for (const { call, fault } of this.#cancelled.splice(0)) {
      this.#events.completed(call, fault, undefined);
    }
  }

  #stopped(): void {
    this.#tellCancelled();
    for (const resolve of [...this.#stopping.splice(0), ...this.#rooms.splice(0)]) {
      resolve();
    }
  }

  // News.

  invocation(target: string, args: unknown, reply: number | undefined, delivery: number | undefined): void {
    if (this.#stopping.length > 0) {
      // It was on its way when the application stopped the connection.
      return;
    }
    let read: unknown;
    try {
      read = this.#codec.read(args);
    } catch (thrown) {
      const text = `The arguments of '${target}' cannot be read: ${reasonOf(thrown)}`;
      this.#events.log(4, text);
      if (delivery !== undefined) {
        this.handled(delivery, text);
      }
      if (reply !== undefined) {
        this.reply(reply, { type: "error", text });
      }
      return;
    }
    this.#events.invocation(target, read as unknown[], reply, delivery);
  }

  completed(call: number, hasValue: boolean, value: unknown): void {
    this.#heard(call);
    if (!hasValue) {
      this.#events.completed(call, undefined, undefined);
      return;
    }
    let result: unknown;
    try {
      result = this.#codec.read(value);
    } catch (thrown) {
      this.failed(call, "Protocol", `The result cannot be read: ${reasonOf(thrown)}`);
      return;
    }
    this.#events.completed(call, undefined, result);
  }

  failed(call: number, kind: string, text: string): void {
    this.#heard(call);
    const fault: Fault = { kind: kind as ErrorKind, text };
    if (call >= OVER) {
      this.#events.log(3, `A message that was sent just before the connection was lost came to nothing: ${text}`);
    } else if (this.#stopping.length > 0 && (kind === "Cancelled" || kind === "OutcomeUnknown")) {
      this.#cancelled.push({ call, fault });
    } else {
      this.#events.completed(call, fault, undefined);
    }
  }

  item(call: number, item: unknown): void {
    let read: unknown;
    try {
      read = this.#codec.read(item);
    } catch (thrown) {
      this.cancel(call);
      this.failed(call, "Protocol", `An item of the stream cannot be read: ${reasonOf(thrown)}`);
      return;
    }
    this.#events.item(call, read);
  }

  plain(name: string, number: number): void {
    switch (name) {
      case "queued":
        this.#heard(number);
        this.#events.queued(number);
        break;
      case "uploadStarted":
      case "uploadStopped":
      case "invocationCancelled":
        this.#events[name](number);
        break;
      case "token":
        this.#token(number);
        break;
      case "room":
        for (const resolve of this.#rooms.splice(0)) {
          resolve();
        }
        break;
      case "stopped":
        this.#tellCancelled();
        this.#stopping.shift()?.();
        this.#letGo();
        break;
    }
  }

  news(name: string, value: unknown): void {
    switch (name) {
      case "state":
        this.#stateChanged(value as StateNews);
        break;
      case "event":
        this.#event(value as ConnectionEvent);
        break;
      case "retry":
        this.#retry(value as Question);
        break;
      case "restored":
        this.#isRestoring = false;
        this.#events.restored(value as RestoredCall[]);
        this.#letGo();
        break;
      case "answer": {
        const { question, value: answer } = value as { question: number; value: never };
        this.#questions.get(question)?.resolve(answer);
        this.#questions.delete(question);
        this.#letGo();
        break;
      }
      case "notStarted": {
        const { ticket, error } = value as { ticket: number; error: Fault };
        this.#starting = this.#starting.filter((waiter) => {
          if (waiter.ticket === ticket) {
            waiter.reject(toError(error));
          }
          return waiter.ticket !== ticket;
        });
        this.#letGo();
        break;
      }
    }
  }

  #event(event: ConnectionEvent): void {
    if (event.type === "outboxChanged" && this.#outbox) {
      this.#outbox.set(event.outbox);
    } else {
      this.#events.event(event);
    }
  }

  #stateChanged({ state, cause }: StateNews): void {
    if (state === "Connected" && this.#stopping.length > 0) {
      // It was there before the stop was. To the application a start that is stopped comes to nothing.
      return;
    }
    this.#state = state;
    if (state === "Connected") {
      this.#outbox?.connected();
      this.#settle(undefined);
    } else if (state === "Disconnected") {
      this.#tellCancelled();
      const isServer = cause.type === "serverClosed";
      const text = isServer ? "The server closed the connection." : "The connection was stopped before it could be started.";
      this.#settle(cause.type === "failed" ? cause.error : { kind: isServer ? "Refused" : "Cancelled", text });
      for (const resolve of this.#rooms.splice(0)) {
        resolve();
      }
    }
    this.#events.stateChanged(state, cause);
    this.#letGo();
  }

  #retry({ request, previousRetryCount, elapsed, reason, change }: Question): void {
    const delay = delayOf(this.#events, { previousRetryCount, elapsed, reason });
    if (delay !== null && change) {
      this.#stateChanged(change);
    }
    this.#command(() => this.#native.retryAfter(request, delay ?? undefined));
  }

  #token(question: number): void {
    void tokenOf(this.#events).then(({ token, error }) => this.#command(() => this.#native.token(question, token, error)));
  }
}
