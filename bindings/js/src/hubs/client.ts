import type { HubConnection } from "../connection.js";
import type { CallOptions, Unsubscribe } from "../options.js";

/** What a connection to a hub needs to know of it: give it to a `HubManager`, or to {@link configureHub}. */
export interface HubDefinition {
  /** Below the address of the server, with a slash in front. */
  readonly path: string;
  /** Methods that join something: see `withJoins`. */
  readonly joins?: readonly { readonly join: string; readonly leave?: string }[];
  /** A method without arguments that answers at once, to measure the quality of the connection. */
  readonly pingMethod?: string;
}

/** Methods by name, as a type. */
export type Methods = { [name: string]: (...args: any[]) => unknown };

/** An event: its name on the wire, then the names of its arguments where it may come as a list of them. */
export type EventShape = readonly [target: string, ...fields: string[]];

/**
 * The base of clients for one hub: `M` has its methods, `E` what its events say. A client for another hub is a file
 * with these two types, a table of the events, a {@link HubDefinition}, and a method for each method of the hub.
 */
export abstract class HubClient<M extends Methods, E extends object> {
  readonly #events: { readonly [K in keyof E]: EventShape };

  constructor(
    /** For everything that is not about this hub: start, stop, states, events of the connection. */
    readonly connection: HubConnection,
    events: { readonly [K in keyof E]: EventShape },
  ) {
    this.#events = events;
  }

  /** Calls `handler` with what the event says, until the function is called that this returns. */
  on<K extends keyof E>(event: K, handler: (value: E[K]) => unknown): Unsubscribe {
    const [target, ...fields] = this.#events[event];
    const listener = (...args: unknown[]): unknown => handler(objectOf(args, fields) as E[K]);
    this.connection.on(target, listener);
    return () => this.connection.off(target, listener);
  }

  /** Calls a method of the hub. */
  protected invoke<K extends keyof M & string>(method: K, ...args: Parameters<M[K]>): Promise<ReturnType<M[K]>> {
    return this.connection.invoke(method, ...args);
  }

  /** Calls a method of the hub, with options. */
  protected call<K extends keyof M & string>(
    method: K,
    args: Parameters<M[K]>,
    options: CallOptions,
  ): Promise<ReturnType<M[K]>> {
    return this.connection.call(method, args, options);
  }
}

/** Servers send some events as one object and some as a list of arguments; both become an object. */
const objectOf = (args: readonly unknown[], fields: readonly string[]): unknown =>
  typeof args[0] === "object" && args[0]
    ? args[0]
    : Object.fromEntries(fields.map((field, index) => [field, args[index]]));

/** Tells a builder what is to be known of a hub. */
export const configureHub = <
  B extends {
    withJoins(joins: NonNullable<HubDefinition["joins"]>): unknown;
    withQuality(options: { pingMethod: string }): unknown;
  },
>(
  builder: B,
  { joins, pingMethod }: HubDefinition,
): B => {
  if (joins) {
    builder.withJoins(joins);
  }
  if (pingMethod) {
    builder.withQuality({ pingMethod });
  }
  return builder;
};
