import type {
  Backend,
  BackendCallOptions,
  BackendConfig,
  BackendConnection,
  BackendEvents,
  CallKind,
  Fault,
  Hint,
  HubProtocol,
  Metrics,
  Milliseconds,
  Reply,
} from "../src/backend.js";
import { BaseHubConnectionBuilder } from "../src/builder.js";
import { toError } from "../src/errors.js";
import type { ILogger } from "../src/logging.js";

/** What was asked of the fake, in order. */
export type Command = readonly [name: string, ...values: unknown[]];

export interface MadeCall {
  readonly id: number;
  readonly kind: CallKind;
  readonly target: string;
  readonly args: readonly unknown[];
  readonly uploads: readonly number[];
  readonly options: BackendCallOptions | undefined;
}

/** A connection without rules of its own: it writes down what it is told, and the test says what happens. */
export class FakeConnection implements BackendConnection {
  readonly commands: Command[] = [];
  readonly calls: MadeCall[] = [];
  /** Makes the next calls and items throw that, as encoding does. */
  encodingError: Error | undefined;
  /** What runs within a call, before it returns. */
  onCall: ((call: MadeCall) => void) | undefined;
  #start: { resolve: () => void; reject: (error: Error) => void } | undefined;
  #stop: (() => void) | undefined;

  constructor(
    readonly config: BackendConfig,
    readonly events: BackendEvents,
  ) {}

  start(): Promise<void> {
    this.commands.push(["start"]);
    return new Promise((resolve, reject) => (this.#start = { resolve, reject }));
  }

  stop(): Promise<void> {
    this.commands.push(["stop"]);
    return new Promise((resolve) => (this.#stop = resolve));
  }

  call(
    id: number,
    kind: CallKind,
    target: string,
    args: readonly unknown[],
    uploads: readonly number[],
    options: BackendCallOptions | undefined,
  ): void {
    if (this.encodingError) {
      throw this.encodingError;
    }
    const call = { id, kind, target, args: [...args], uploads, options };
    this.calls.push(call);
    this.commands.push(["call", id, kind, target]);
    this.onCall?.(call);
  }

  cancel(call: number): void {
    this.commands.push(["cancel", call]);
  }

  uploadItem(upload: number, item: unknown): void {
    if (this.encodingError) {
      throw this.encodingError;
    }
    this.commands.push(["uploadItem", upload, item]);
  }

  uploadEnd(upload: number, error: string | undefined): void {
    this.commands.push(["uploadEnd", upload, error]);
  }

  handled(delivery: number, reason: string | undefined): void {
    this.commands.push(["handled", delivery, reason]);
  }

  acknowledge(messageId: string): void {
    this.commands.push(["acknowledge", messageId]);
  }

  nack(messageId: string, reason: string): void {
    this.commands.push(["nack", messageId, reason]);
  }

  reply(reply: number, answer: Reply): void {
    this.commands.push(["reply", reply, answer]);
  }

  hint(hint: Hint): void {
    this.commands.push(["hint", hint]);
  }

  async metrics(): Promise<Metrics> {
    throw new Error("the fake has no metrics");
  }

  async positions(): Promise<string[]> {
    return ["epoch/3/group:news"];
  }

  configure(change: { url?: string; keepAliveInterval?: Milliseconds; serverTimeout?: Milliseconds }): void {
    this.commands.push(["configure", change]);
  }

  dispose(): void {
    this.commands.push(["dispose"]);
  }

  // What the test lets happen.

  connecting(): void {
    this.events.stateChanged("Connecting", { type: "requested" });
  }

  connected(connectionId: string | null = "id-1", previousConnectionId: string | null = null): void {
    this.events.stateChanged("Connected", { type: "established", connectionId, previousConnectionId });
    this.#start?.resolve();
  }

  lost(error: Fault = NETWORK): void {
    this.events.stateChanged("Reconnecting", { type: "failed", error });
  }

  closed(error?: Fault): void {
    const [start, stop] = [this.#start, this.#stop];
    this.events.stateChanged("Disconnected", error ? { type: "failed", error } : { type: "requested" });
    start?.reject(toError(error ?? CANCELLED));
    stop?.();
  }

  /** A start that comes to nothing, as when the platform cannot load. */
  refuseStart(error: Error): void {
    this.#start?.reject(error);
  }

  /** A stop that no event announces. */
  stopped(): void {
    this.#stop?.();
  }

  complete(call: number, value?: unknown): void {
    this.events.completed(call, undefined, value);
  }

  fail(call: number, error: Fault): void {
    this.events.completed(call, error, undefined);
  }

  message(target: string, args: unknown[], ids: { reply?: number; delivery?: number } = {}): void {
    this.events.invocation(target, args, ids.reply, ids.delivery);
  }

  /** The commands of that name, without it. */
  of(name: string): unknown[][] {
    return this.commands.filter(([other]) => other === name).map(([, ...values]) => values);
  }
}

export const NETWORK: Fault = { kind: "Network", text: "The socket was closed." };
export const CANCELLED: Fault = { kind: "Cancelled", text: "The call was cancelled." };
export const PROTOCOL: HubProtocol = { name: "json", version: 2 };

/** A platform whose connections are {@link FakeConnection}s. */
export class FakeBackend implements Backend {
  readonly connections: FakeConnection[] = [];

  connect(config: BackendConfig, events: BackendEvents): FakeConnection {
    const connection = new FakeConnection(config, events);
    this.connections.push(connection);
    return connection;
  }
}

/** Builds connections on a {@link FakeBackend}. */
export class HubConnectionBuilder extends BaseHubConnectionBuilder {
  constructor(readonly fake = new FakeBackend()) {
    super();
  }

  protected backend(): Backend {
    return this.fake;
  }

  protected defaultProtocol(): HubProtocol {
    return PROTOCOL;
  }
}

/** Keeps log messages. */
export class Log implements ILogger {
  readonly lines: string[] = [];

  log(logLevel: number, message: string): void {
    this.lines.push(`${logLevel} ${message}`);
  }
}

/** A connection on a fake, and that fake. */
export const make = (configure: (builder: HubConnectionBuilder) => unknown = () => {}) => {
  const log = new Log();
  const builder = new HubConnectionBuilder().withUrl("http://host/hub").configureLogging(log);
  configure(builder);
  const connection = builder.build();
  const [fake] = builder.fake.connections;
  if (!fake) {
    throw new Error("nothing was connected");
  }
  return { connection, fake, log };
};

/** The same, connected. */
export const makeConnected = async (configure?: (builder: HubConnectionBuilder) => unknown) => {
  const made = make(configure);
  const start = made.connection.start();
  made.fake.connecting();
  made.fake.connected();
  await start;
  return made;
};

/** Lets everything happen that is only waiting for promises. */
export const settle = () => new Promise<void>((resolve) => setImmediate(resolve));
