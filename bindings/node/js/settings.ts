/** The configuration of a connection as the native module reads it. */

import type { BackendConfig } from "../../js/src/backend.js";
import { HubError } from "../../js/src/errors.js";
import { isPlain } from "./check.js";
import type { Network } from "./network.js";

/** What an application may give to browsers, and what the native module does by itself. */
const OWN = ["httpClient", "WebSocket", "EventSource"] as const;

/** As JSON. Throws what cannot be had. */
export function settingsOf({ protocol, http, ...config }: BackendConfig, network: Network): string {
  for (const name of OWN) {
    if (http[name] !== undefined) {
      throw new HubError("Misuse", `'${name}' is not possible in Node: the native module makes requests and sockets by itself.`);
    }
  }
  const { headers, timeout } = http;
  const texts = Object.entries(headers ?? {}).map(([name, value]) => [name, String(value)]);
  const settings = { ...config, encoding: protocol.name, http: { headers: Object.fromEntries(texts), timeout }, network };
  return JSON.stringify(settings, isPlain);
}
