/**
 * Durable calls in IndexedDB, shared by the tabs of an origin without sending any of them twice.
 *
 * Each page has a part of the store of its own, named as its calls are named to servers, and holds a Web Lock on it. A
 * part whose page is gone can be locked by another page: the first one that opens the store goes on with it, and pages
 * that are open wait for the locks of the others.
 */

import type { Codec } from "./codec.js";
import { Encoded, take } from "./payloads.js";

/** A call as the core gives and takes it, without its slot. */
interface CallRecord {
  sequence: number;
  kind: string;
  target: string;
  priority: string;
  supersedeKey?: string;
  queuedAt: number;
  expiresAt?: number;
}

interface Row extends CallRecord {
  part: string;
  data: string | Uint8Array;
}

/** A call that was found, with what it sends; undefined if it was written in another encoding and cannot be changed. */
export interface FoundCall {
  readonly record: CallRecord;
  readonly encoded: Encoded | undefined;
}

const PARTS = "parts";
const CALLS = "calls";

/** What a request of IndexedDB ends with. */
const settled = <T>(request: IDBRequest<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

const done = (transaction: IDBTransaction): Promise<void> =>
  new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = transaction.onerror = () => reject(transaction.error ?? new Error("The write was given up."));
  });

async function open(name: string): Promise<IDBDatabase> {
  const request = indexedDB.open(`hubwire-${name}`, 1);
  request.onupgradeneeded = () => {
    request.result.createObjectStore(PARTS, { keyPath: "part" });
    request.result.createObjectStore(CALLS, { keyPath: ["part", "sequence"] });
  };
  const database = await settled(request);
  // Another page wants to delete it.
  database.onversionchange = () => database.close();
  return database;
}

/** One part of a store, locked by this page. */
export class Part {
  readonly #database: IDBDatabase;
  readonly #release: () => void;
  /** Names its calls to servers. */
  readonly name: string;

  constructor(database: IDBDatabase, name: string, release: () => void) {
    this.#database = database;
    this.name = name;
    this.#release = release;
  }

  /** What is in it, in the order of the calls, and the first sequence that was never used. */
  async load(codec: Codec): Promise<{ next: number; calls: FoundCall[] }> {
    const transaction = this.#database.transaction([PARTS, CALLS]);
    const [part, rows] = await Promise.all([
      settled(transaction.objectStore(PARTS).get(this.name)) as Promise<{ next: number } | undefined>,
      settled(transaction.objectStore(CALLS).getAll(within(this.name))) as Promise<Row[]>,
    ]);
    const calls = rows.map(({ part: _, data, ...record }) => ({ record, encoded: converted(data, codec) }));
    return { next: Math.max(part?.next ?? 0, (rows.at(-1)?.sequence ?? -1) + 1), calls };
  }

  /** Writes a batch, all of it or nothing: calls to keep, or sequences to forget. */
  async write(changes: unknown[]): Promise<void> {
    const rows = changes.map((change) => {
      if (typeof change === "number") {
        return change;
      }
      const { slot, ...record } = change as CallRecord & { slot: number };
      return { ...record, part: this.name, data: (take(slot) as Encoded).data } satisfies Row;
    });
    const transaction = this.#database.transaction([PARTS, CALLS], "readwrite", { durability: "strict" });
    const calls = transaction.objectStore(CALLS);
    let next = 0;
    for (const row of rows) {
      if (typeof row === "number") {
        calls.delete([this.name, row]);
      } else {
        calls.put(row);
        next = row.sequence + 1;
      }
    }
    if (next > 0) {
      transaction.objectStore(PARTS).put({ part: this.name, next });
    }
    await done(transaction);
  }

  /** Forgets it, empty or not, and lets go of it. */
  async remove(): Promise<void> {
    const transaction = this.#database.transaction([PARTS, CALLS], "readwrite");
    transaction.objectStore(PARTS).delete(this.name);
    transaction.objectStore(CALLS).delete(within(this.name));
    await done(transaction);
    this.#release();
  }

  release(): void {
    this.#release();
  }
}

const within = (part: string): IDBKeyRange => IDBKeyRange.bound([part, 0], [part, Infinity]);

/** The arguments as this connection sends them. */
function converted(data: string | Uint8Array, codec: Codec): Encoded | undefined {
  const isJson = typeof data === "string";
  if (isJson === (codec.encoding_ === 0)) {
    return new Encoded(data);
  }
  return isJson ? codec.write_(JSON.parse(data)) : undefined;
}

export class TabStore {
  readonly #database: IDBDatabase;
  readonly #name: string;
  readonly #gone = new AbortController();
  readonly #known = new Set<string>();

  private constructor(database: IDBDatabase, name: string) {
    this.#database = database;
    this.#name = name;
  }

  /** Opens the store of that name. Fails where there is no IndexedDB or are no Web Locks, as in pages without TLS. */
  static async open(name: string): Promise<TabStore> {
    if (typeof indexedDB === "undefined" || !globalThis.navigator?.locks) {
      throw new Error("Durable calls need IndexedDB and Web Locks, which browsers have in secure contexts only.");
    }
    return new TabStore(await open(name), name);
  }

  #lock(part: string): string {
    return `hubwire:${this.#name}:${part}`;
  }

  /** Takes the lock of a part. Undefined if it was not to be had, or the store was closed while waiting for it. */
  #claim(part: string, options: LockOptions): Promise<Part | undefined> {
    return new Promise((resolve) => {
      const held = (lock: Lock | null): Promise<void> | undefined => {
        if (!lock || this.#gone.signal.aborted) {
          resolve(undefined);
          return undefined;
        }
        // Held until this is fulfilled.
        return new Promise((release) => resolve(new Part(this.#database, part, release)));
      };
      navigator.locks.request(this.#lock(part), options, held).catch(() => resolve(undefined));
    });
  }

  async #parts(): Promise<string[]> {
    const keys = await settled(this.#database.transaction(PARTS).objectStore(PARTS).getAllKeys());
    return keys as string[];
  }

  /** A part for this page: one that another page has left, or `fresh`. */
  async own(fresh: string): Promise<Part> {
    for (const part of await this.#parts()) {
      this.#known.add(part);
      const claimed = await this.#claim(part, { ifAvailable: true });
      if (claimed) {
        return claimed;
      }
      this.#known.delete(part);
    }
    this.#known.add(fresh);
    const claimed = await this.#claim(fresh, {});
    if (!claimed) {
      throw new Error("The store was closed.");
    }
    await done(this.#register(fresh));
    return claimed;
  }

  #register(part: string): IDBTransaction {
    const transaction = this.#database.transaction(PARTS, "readwrite");
    transaction.objectStore(PARTS).put({ part, next: 0 });
    return transaction;
  }

  /** Waits for the parts of the other pages, and gives each that its page has left. */
  async watch(left: (part: Part) => void): Promise<void> {
    for (const part of await this.#parts()) {
      if (this.#known.has(part)) {
        continue;
      }
      this.#known.add(part);
      void this.#claim(part, { signal: this.#gone.signal }).then(async (claimed) => {
        this.#known.delete(part);
        if (!claimed) {
          return;
        }
        // Another page may have sent what was in it.
        if ((await this.#parts()).includes(part)) {
          left(claimed);
        } else {
          claimed.release();
        }
      });
    }
  }

  close(): void {
    this.#gone.abort();
    this.#database.close();
  }
}
