/** How values are written and read, between JavaScript and the native module. */

import type { HubProtocol } from "../../js/src/backend.js";
import type { NativeConnection } from "./native.js";

/** A value as it is sent. */
export type Encoded = string | Uint8Array;

/** A hub protocol of this package. The frames are the native module's; values are written and read here. */
export interface Codec extends HubProtocol {
  readonly name: "json" | "messagepack";
  /** Throws what cannot be written. */
  write(value: unknown): Encoded;
  /** What an invocation, a completion or an item carried. Throws what cannot be read. */
  read(payload: unknown): unknown;
}

export const isCodec = (protocol: HubProtocol): protocol is Codec =>
  typeof (protocol as Partial<Codec>).write === "function" && typeof (protocol as Partial<Codec>).read === "function";

/** The hub protocol `json`. */
// Not `implements Codec`: in the types that are shipped the methods are not there.
export class JsonHubProtocol implements HubProtocol {
  readonly name = "json";
  readonly version = 2;
  /** `TransferFormat.Text` */
  readonly transferFormat = 1;

  /** @internal */
  write(value: unknown): string {
    const json = JSON.stringify(value) as string | undefined;
    if (json === undefined) {
      throw new TypeError("The value cannot be written as JSON.");
    }
    return json;
  }

  /** @internal Read already, with everything else that came. */
  read(payload: unknown): unknown {
    return payload;
  }
}

/** Which of the two ways of a command. */
export const send = {
  call: (native: NativeConnection, call: number, kind: number, target: string, args: Encoded, uploads?: number[], options?: string): boolean =>
    typeof args === "string"
      ? native.callText(call, kind, target, args, uploads, options)
      : native.callBytes(call, kind, target, args, uploads, options),
  item: (native: NativeConnection, upload: number, item: Encoded): boolean =>
    typeof item === "string" ? native.uploadText(upload, item) : native.uploadBytes(upload, item),
  reply(native: NativeConnection, reply: number, value: Encoded): void {
    if (typeof value === "string") {
      native.replyText(reply, value);
    } else {
      native.replyBytes(reply, value);
    }
  },
};
