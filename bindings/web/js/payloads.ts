/**
 * The payloads that the core holds: here they are, there they are numbers. A slot has a value as it was received, or the
 * bytes of one that is to be sent. Whoever has the number of a slot frees it, once.
 */

/** A value as it is sent: JSON text, or MessagePack. */
export class Encoded {
  constructor(readonly data: string | Uint8Array) {}
}

/** What writes a value for one of the encodings. */
export type ValueWriter = (value: unknown) => Encoded;

/** Slot 0 is nobody's. */
const values: unknown[] = [undefined];
const sizes: number[] = [0];
const free: number[] = [];
/** By the number of the encoding: JSON, MessagePack. Set by the connections that speak it. */
const writers: ValueWriter[] = [];

export function useWriter(encoding: 0 | 1, writer: ValueWriter): void {
  writers[encoding] = writer;
}

/** Keeps a value of about so many bytes, and gives its slot. */
export function keep(value: unknown, size: number): number {
  const slot = free.pop() ?? values.length;
  values[slot] = value;
  sizes[slot] = size;
  return slot;
}

/** Takes what is in the slot out of it; undefined for slot 0. */
export function take(slot: number): unknown {
  const value = values[slot];
  if (slot) {
    release(slot);
  }
  return value;
}

/** Looks into the slot. */
export const peek = (slot: number): unknown => values[slot];

/** How many slots are in use. */
export const live = (): number => values.length - 1 - free.length;

/** About how many bytes a value takes when it is sent. */
export const sizeOf = (encoded: Encoded): number => encoded.data.length;

// What the core calls.

export function release(slot: number): void {
  values[slot] = undefined;
  free.push(slot);
}

export const share = (slot: number): number => keep(values[slot], sizes[slot]!);

export const measure = (slot: number): number => sizes[slot]!;

export function isSame(a: number, b: number): boolean {
  const [one, other] = [values[a], values[b]];
  if (!(one instanceof Encoded && other instanceof Encoded)) {
    return one === other;
  }
  const [x, y] = [one.data, other.data];
  return x === y || (typeof x !== "string" && typeof y !== "string" && x.length === y.length && x.every((byte, i) => byte === y[i]));
}

export function fromArguments(messagePack: boolean, list: unknown[]): number {
  const encoded = writers[+messagePack]!(list);
  return keep(encoded, sizeOf(encoded));
}

export function texts(slot: number): string[] | undefined {
  const value = values[slot];
  return Array.isArray(value) && value.every((text) => typeof text === "string") ? value : undefined;
}

type Fields = Record<string, unknown>;

const isObject = (value: unknown): value is Fields => {
  if (typeof value !== "object" || value === null) {
    return false;
  }
  // Not lists, dates and bytes.
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
};

const own = (fields: Fields, name: string): unknown => (Object.hasOwn(fields, name) ? fields[name] : undefined);

/** As the core's `MAX_MESSAGE_ID`: bytes of UTF-8. */
const MAX_MESSAGE_ID = 128;
const utf8 = new TextEncoder();

const idIn = (value: unknown): string | undefined => {
  const id = isObject(value) ? own(value, "messageId") : undefined;
  return typeof id === "string" && id !== "" && id.length <= MAX_MESSAGE_ID && utf8.encode(id).length <= MAX_MESSAGE_ID ? id : undefined;
};

const argumentsIn = (slot: number): unknown[] => {
  const value = values[slot];
  return Array.isArray(value) ? value : [];
};

export const messageId = (slot: number): string | undefined => idIn(argumentsIn(slot)[0]);

export function members(slot: number): unknown[] | undefined {
  const list = argumentsIn(slot);
  const batch = list[0];
  if (list.length !== 1 || !isObject(batch) || typeof own(batch, "batchId") !== "string") {
    return undefined;
  }
  const messages = own(batch, "messages");
  if (!Array.isArray(messages)) {
    return undefined;
  }
  const perMessage = own(batch, "argumentsPerMessage");
  const lists = perMessage === true || isCount(perMessage);
  const size = Math.ceil(sizes[slot]! / (messages.length || 1));
  return messages.flatMap((member: unknown) => {
    // Where members are no lists, each is the one argument, whatever it is.
    const whole = !lists || Array.isArray(member);
    const id = idIn(lists && Array.isArray(member) ? member[0] : member);
    return [whole ? keep(lists ? member : [member], size) : null, id ?? null];
  });
}

const isCount = (value: unknown): boolean => typeof value === "number" && Number.isInteger(value) && value >= 0;

/** A number as the core takes it, none if it is null or missing; NaN for what is no number of a change. */
const counted = (value: unknown): number | null => {
  if (value === undefined || value === null) {
    return null;
  }
  if (typeof value === "bigint") {
    return value >= 0n && value < 2n ** 64n ? Number(value) : NaN;
  }
  return isCount(value) ? (value as number) : NaN;
};

/** The lists of names that were asked for, split once. */
const keyLists = new Map<string, string[]>();

export function delta(slot: number, keys: string): unknown[] | undefined {
  const list = argumentsIn(slot);
  const change = list[0];
  if (list.length !== 1 || !isObject(change)) {
    return undefined;
  }
  let names = keyLists.get(keys);
  if (!names) {
    keyLists.set(keys, (names = keys.split("\n")));
  }
  const name = names.find((name) => Object.hasOwn(change, name));
  const key = name === undefined ? undefined : change[name];
  if (typeof key !== "string" && typeof key !== "number" && typeof key !== "bigint") {
    return undefined;
  }
  const full = own(change, "full") === true;
  const [base, sequence] = [counted(own(change, "baseSequence")), counted(own(change, "sequence"))];
  const isInOrder = sequence !== null ? sequence >= 0 && (full || (base !== null && base < sequence)) : base === null;
  return [String(key), full ? null : base, full ? (sequence ?? 0) : sequence, isInOrder];
}

/** The fields of a change that are about it and not part of the object. */
const CONTROL = new Set(["sequence", "baseSequence", "full", "cleared"]);
/** Objects deeper than this are replaced as a whole when they are merged: nesting must not cost the stack. */
const DEPTH = 64;

/** RFC 7396, without changing either. */
function merged(base: Fields, change: Fields, nullRemoves: boolean, depth: number): Fields {
  const result: Fields = { ...base };
  for (const [name, value] of Object.entries(change)) {
    if (value === null) {
      if (nullRemoves) {
        delete result[name];
      }
    } else if (isObject(value) && depth < DEPTH) {
      const before = own(base, name);
      set(result, name, merged(isObject(before) ? before : {}, value, nullRemoves, depth + 1));
    } else {
      set(result, name, value);
    }
  }
  return result;
}

/** A field called `__proto__` is a field. */
const set = (object: Fields, name: string, value: unknown): void => {
  Object.defineProperty(object, name, { value, writable: true, enumerable: true, configurable: true });
};

/** About as many bytes as JSON needs. */
function weigh(value: unknown): number {
  let sum = 0;
  const stack: unknown[] = [value];
  while (stack.length > 0) {
    const inner = stack.pop();
    if (typeof inner === "string" || inner instanceof Uint8Array) {
      sum += inner.length + 2;
    } else if (typeof inner === "object" && inner !== null) {
      for (const [name, field] of Object.entries(inner)) {
        sum += name.length + 4;
        stack.push(field);
      }
    } else {
      sum += 5;
    }
  }
  return sum;
}

export function merge(slot: number, base: number, nullRemoves: boolean): number {
  const change = argumentsIn(slot)[0];
  const before = base ? argumentsIn(base)[0] : {};
  if (!isObject(change) || !isObject(before)) {
    return 0;
  }
  const cleared = own(change, "cleared");
  const names = Array.isArray(cleared) && cleared.every((name) => typeof name === "string") ? cleared : [];
  const kept = Object.entries(before).filter(([name]) => !names.includes(name));
  const changed = Object.entries(change).filter(([name]) => !CONTROL.has(name));
  const object = merged(fields(kept), fields(changed), nullRemoves, 0);
  return keep([object], weigh(object));
}

const fields = (entries: [string, unknown][]): Fields => {
  const object: Fields = {};
  for (const [name, value] of entries) {
    set(object, name, value);
  }
  return object;
};
