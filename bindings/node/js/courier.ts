/** Brings what happened on all connections of this thread, once per turn of the event loop. */

import { readNews } from "./messagepack.js";
import { native, type NativeConnection, type NativeCourier } from "./native.js";

/** What happened on one connection; `src/news.rs` has the other side. */
export interface Recipient {
  invocation(target: string, args: unknown, reply: number | undefined, delivery: number | undefined): void;
  completed(call: number, hasValue: boolean, value: unknown): void;
  failed(call: number, kind: string, text: string): void;
  item(call: number, item: unknown): void;
  plain(name: string, number: number): void;
  news(name: string, value: unknown): void;
}

/** The longest delay of a timer. */
const LONGEST = 2 ** 31 - 1;

/** What is taken in one turn of the event loop: more may have come meanwhile. */
const TURN = 8;

let courier: NativeCourier | undefined;
/** Connections that are in use: nothing else has to hold them. */
const held = new Map<number, Recipient>();
/** The others: they go when the application has let go of them. */
const known = new Map<number, WeakRef<Recipient>>();
const collected = new FinalizationRegistry<number>((number) => known.delete(number));
/** Keeps the process alive while connections are in use. */
let alive: ReturnType<typeof setInterval> | undefined;

/** Makes a connection, whose news `recipient` gets. Throws what the native module says. */
export function connect(settings: string, recipient: Recipient): NativeConnection {
  courier ??= new (native().Courier)(wake);
  const connection = courier.connect(settings);
  known.set(connection.number, new WeakRef(recipient));
  collected.register(recipient, connection.number);
  return connection;
}

/** While a connection is in use it is not collected, and the process does not end. */
export function hold(number: number, recipient: Recipient): void {
  held.set(number, recipient);
  alive ??= setInterval(() => {}, LONGEST);
}

export function release(number: number): void {
  held.delete(number);
  if (held.size === 0 && alive !== undefined) {
    clearInterval(alive);
    alive = undefined;
  }
}

/** What was taken and is not handed out yet. */
let rest: unknown[] = [];
let at = 0;
/** Something was handed out that promises wait for: the rest comes when they had their turn. */
let isWaiting = false;
/** Lists that were taken in this turn of the event loop. */
let taken = 0;

/** Called by the native module when there is something. */
function wake(): void {
  if (!isWaiting) {
    taken = 0;
    deliver();
  }
}

/** How many items each kind of news has, with the number of the connection and the kind. */
const SIZES = [4, 6, 3, 4, 5, 4, 4, 4, 2];
/** The kind after which promises are to have their turn. */
const END_OF_TURN = 8;

function deliver(): void {
  for (;;) {
    if (at >= rest.length) {
      if (taken === TURN) {
        courier!.pause();
        return;
      }
      taken += 1;
      const news = courier!.take();
      if (news === null) {
        rest = [];
        return;
      }
      rest = typeof news === "string" ? (JSON.parse(news) as unknown[]) : readNews(news);
      at = 0;
    }
    if (handOut()) {
      isWaiting = true;
      queueMicrotask(letPromisesRun);
      return;
    }
  }
}

/**
 * Ticks come when no microtask is left, however many follow from each other: code behind `await connection.invoke(…)` runs
 * before what the server sent after its answer, as with the official client, which gets each message in a turn of its own.
 */
function letPromisesRun(): void {
  process.nextTick(goOn);
}

function goOn(): void {
  isWaiting = false;
  deliver();
}

/** Hands out what was taken, up to where promises are to have their turn: true if it got there. */
function handOut(): boolean {
  const news = rest;
  let number = 0;
  let recipient: Recipient | undefined;
  while (at < news.length) {
    const i = at;
    const kind = news[i + 1] as number;
    at = i + SIZES[kind]!;
    if (kind === END_OF_TURN) {
      return true;
    }
    if (news[i] !== number) {
      number = news[i] as number;
      recipient = held.get(number) ?? known.get(number)?.deref();
    }
    if (recipient) {
      try {
        tell(recipient, news, i);
      } catch (error) {
        // A logger of the application, which must not throw. It is told as any other error in an event, and what comes behind arrives.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
  return false;
}

function tell(to: Recipient, news: unknown[], i: number): void {
  switch (news[i + 1]) {
    case 0:
      to.invocation(news[i + 2] as string, news[i + 3], undefined, undefined);
      break;
    case 1: {
      const [reply, delivery] = [news[i + 4] as number, news[i + 5] as number];
      to.invocation(news[i + 2] as string, news[i + 3], reply ? reply - 1 : undefined, delivery ? delivery - 1 : undefined);
      break;
    }
    case 2:
      to.completed(news[i + 2] as number, false, undefined);
      break;
    case 3:
      to.completed(news[i + 2] as number, true, news[i + 3]);
      break;
    case 4:
      to.failed(news[i + 2] as number, news[i + 3] as string, news[i + 4] as string);
      break;
    case 5:
      to.item(news[i + 2] as number, news[i + 3]);
      break;
    case 6:
      to.plain(news[i + 2] as string, news[i + 3] as number);
      break;
    default:
      to.news(news[i + 2] as string, news[i + 3]);
  }
}
