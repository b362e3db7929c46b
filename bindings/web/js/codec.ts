/** What both encodings have in common: the border between frames and the core. */

import type { HubProtocol } from "../../js/src/backend.js";
import type { Encoded, ValueWriter } from "./payloads.js";

/** What is sent: a text frame or a binary one. */
export type Frame = string | Uint8Array<ArrayBuffer>;

/** What the peer sent is no message; the text says what is wrong and never quotes a payload. */
export class ProtocolFault extends Error {}

export const missing = (property: string): ProtocolFault => new ProtocolFault(`Missing required property '${property}'.`);
export const wrong = (property: string, expected: string): ProtocolFault =>
  new ProtocolFault(`Expected '${property}' to be ${expected}.`);
export const errorAndResult = (): ProtocolFault =>
  new ProtocolFault("The 'error' and 'result' properties are mutually exclusive.");

/** Headers as the core takes them: name, value, name, value. */
export type FlatHeaders = string[];

/** The same as an object. */
export function headersFrom(flat: FlatHeaders): Record<string, string> {
  const headers: Record<string, string> = {};
  for (let i = 0; i + 1 < flat.length; i += 2) {
    headers[flat[i]!] = flat[i + 1]!;
  }
  return headers;
}

/** Takes decoded messages, in order. `size` is about how many bytes the payload has. */
export interface Sink {
  /** A call without id, headers and streams: nearly every message is one. */
  invoked_(target: string, args: unknown[], size: number): void;
  receivedCall_(type: 1 | 4, id: string | undefined, target: string, args: unknown[], size: number, streams: string[] | undefined, headers: FlatHeaders | undefined): void;
  receivedItem_(id: string, item: unknown, size: number): void;
  /** `hasValue`: also null is a value. */
  receivedCompletion_(id: string, hasValue: boolean, value: unknown, size: number, error: string | undefined): void;
  /** Types 5, 6, 8 and 9. */
  receivedControl_(type: number, id: string | undefined, sequenceId: number): void;
  receivedClose_(error: string | undefined, allowReconnect: boolean, retryAfter: number): void;
}

/** A hub protocol: an object of the application's that is given to `withHubProtocol`. */
export interface Codec extends HubProtocol {
  readonly name: "json" | "messagepack";
  readonly version: number;
  /** 0 JSON, 1 MessagePack, as the core counts them. */
  readonly encoding_: 0 | 1;
  readonly write_: ValueWriter;
  call_(type: number, id: string | undefined, target: string, args: Encoded, streams: string[] | undefined, headers: FlatHeaders | undefined): Frame;
  item_(id: string, item: Encoded): Frame;
  completion_(id: string, value: Encoded | undefined, error: string | undefined): Frame;
  control_(type: number, text: string | undefined, number: number): Frame;
  join_(frames: Frame[]): Frame;
  /**
   * Decodes whole messages. Throws a {@link ProtocolFault}, or what the decoder throws, at the first that is none; those
   * before it were taken.
   *
   * @returns what is left of an unfinished message at the end.
   */
  decode_(data: string | Uint8Array, limit: number, sink: Sink): string | Uint8Array | undefined;
}

/** Thrown for a message above the limit; the core knows its text. */
export class TooLarge extends Error {}
