/** How connections reach their servers: what applications may say of it in Node. */

import { readFileSync } from "node:fs";
import { HubError } from "../../js/src/errors.js";
import type { IHttpConnectionOptions } from "../../js/src/transports.js";

/** Options of `withUrl` in Node. */
export interface INodeHttpConnectionOptions extends IHttpConnectionOptions {
  /**
   * The proxy to go through, `http://user:password@host:port` or `https://…`; false for none. Unless set, what
   * `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` say when the first connection is made.
   */
  proxy?: string | false;
  /**
   * Root certificates as PEM, in place of the well-known ones, as the option of this name of `node:tls`. Those in the file
   * that `NODE_EXTRA_CA_CERTS` names count in any case.
   */
  ca?: string | Uint8Array | readonly (string | Uint8Array)[];
}

/** As the native module reads it. */
export interface Network {
  readonly proxy?: string;
  readonly ca: readonly string[];
  readonly wellKnown: boolean;
}

const isPem = (value: unknown): value is string | Uint8Array => typeof value === "string" || value instanceof Uint8Array;
const textOf = (pem: string | Uint8Array): string => (typeof pem === "string" ? pem : Buffer.from(pem).toString("latin1"));

let extra: readonly string[] | undefined;

/** Of a file that cannot be read Node has warned. */
function extraRoots(): readonly string[] {
  const file = process.env["NODE_EXTRA_CA_CERTS"];
  if (extra === undefined) {
    try {
      extra = file ? [readFileSync(file, "latin1")] : [];
    } catch {
      extra = [];
    }
  }
  return extra;
}

/** Throws what is no such option. */
export function networkOf({ proxy, ca }: INodeHttpConnectionOptions): Network {
  if (proxy !== undefined && proxy !== false && (typeof proxy !== "string" || proxy === "")) {
    throw new HubError("Misuse", "The option 'proxy' is neither the URL of a proxy nor false.");
  }
  const roots: readonly unknown[] = ca === undefined ? [] : Array.isArray(ca) ? ca : [ca];
  if (!roots.every(isPem)) {
    throw new HubError("Misuse", "The option 'ca' is no certificate as PEM, nor a list of them.");
  }
  return {
    ...(proxy !== undefined && { proxy: proxy || "" }),
    ca: [...roots.map(textOf), ...extraRoots()],
    wellKnown: ca === undefined,
  };
}
