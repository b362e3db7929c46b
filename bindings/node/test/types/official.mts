/** Compiled and never run: the builder of this package stands where that of the official one does. `../../js/test/official-types.ts` has the rest. */
import type * as official from "@microsoft/signalr";
import * as ours from "@hubwire/node";

type Public<T> = Pick<T, keyof T>;

declare const options: Omit<official.IHttpConnectionOptions, "transport" | "logger" | "httpClient">;
declare const policy: official.IRetryPolicy;
declare const stateful: official.IStatefulReconnectOptions;

const built = new ours.HubConnectionBuilder()
  .configureLogging("info")
  .withUrl("/hub", options)
  .withUrl("/hub", ours.HttpTransportType.WebSockets)
  .withHubProtocol(new ours.JsonHubProtocol())
  .withAutomaticReconnect(policy)
  .withStatefulReconnect(stateful)
  .build();

export const connection: Omit<Public<official.HubConnection>, "state"> = built;
export const methods: Record<keyof Public<official.HubConnectionBuilder>, unknown> = new ours.HubConnectionBuilder();
export const values: Record<Exclude<keyof typeof official, "default">, unknown> = ours;
