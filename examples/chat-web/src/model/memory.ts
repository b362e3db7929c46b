import type { Message } from "./messages.js";

/** What a page leaves behind for the next one. */
export interface Memory {
  readonly conversations: readonly { readonly id: string; readonly messages: readonly Message[] }[];
  /** Where the connection stood when that was so. */
  readonly positions: readonly string[];
}

/** A message that was written and not sent. */
export interface Draft {
  readonly id: string;
  readonly conversation: string;
  readonly content: string;
  readonly timestamp: string;
}

const read = <T>(storage: Storage, key: string): T | undefined => {
  try {
    return (JSON.parse(storage.getItem(key) ?? "null") as T | null) ?? undefined;
  } catch {
    // Not what this page writes, or no permission.
    return undefined;
  }
};

const write = (storage: Storage, key: string, value: unknown): void => {
  try {
    storage.setItem(key, JSON.stringify(value));
  } catch {
    // Full, or not allowed: the next page has less to show.
  }
};

const historyKey = (user: string): string => `hubwire-chat:${user}`;
const draftsKey = (user: string): string => `hubwire-chat:drafts:${user}`;

/** Conversations, shared by all tabs of a user. */
export const recall = (user: string): Memory | undefined => read(localStorage, historyKey(user));
export const remember = (user: string, memory: Memory): void => write(localStorage, historyKey(user), memory);

/** Messages that wait, of this tab: each tab has its own part of the outbox. */
export const recallDrafts = (user: string): readonly Draft[] => read(sessionStorage, draftsKey(user)) ?? [];
export const rememberDrafts = (user: string, drafts: readonly Draft[]): void =>
  write(sessionStorage, draftsKey(user), drafts);

const USER = "hubwire-chat:user";

/** Who uses this tab. */
export const recallUser = (): string | undefined => read(sessionStorage, USER);
export const rememberUser = (user: string | null): void => write(sessionStorage, USER, user);
