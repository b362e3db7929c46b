/** The hub protocol `messagepack`. */

import { Decoder, Encoder } from "@msgpack/msgpack";
import type { HubProtocol } from "../../js/src/backend.js";

const encoder = new Encoder({ ignoreUndefined: false });
const decoder = new Decoder();

/** The hub protocol `messagepack`. Dates are timestamps, `Uint8Array`s are binary. */
export class MessagePackHubProtocol implements HubProtocol {
  readonly name = "messagepack";
  readonly version = 2;
  /** `TransferFormat.Binary` */
  readonly transferFormat = 2;

  /** @internal */
  write(value: unknown): Uint8Array {
    return encoder.encode(value);
  }

  /** @internal */
  read(payload: unknown): unknown {
    return decoder.decode(payload as Uint8Array);
  }
}

/** Reads what the native module has collected: payloads in it are bytes. */
export const readNews = (bytes: Uint8Array): unknown[] => decoder.decode(bytes) as unknown[];
