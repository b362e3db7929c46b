import type { ChatMessage } from "@hubwire/web/hubs";

/** What has become of a message: the server has it, it is on its way, or it came to nothing. */
export type Delivery = "sent" | "pending" | "failed";

export interface Message {
  readonly id: string;
  readonly user: string;
  content: string;
  /** ISO 8601. Until the server has it, when it was written. */
  timestamp: string;
  edited: boolean;
  deleted: boolean;
  delivery: Delivery;
  /** Why something came to nothing. */
  problem?: string | undefined;
  /** An edit or a deletion that the server has not confirmed. */
  busy?: "edit" | "delete" | undefined;
  /** Takes it back while it waits. */
  cancel?: (() => void) | undefined;
}

/** How many messages of a conversation are kept. */
const MOST = 500;

/** The messages of one conversation: those the server has, in its order, then those it has not. */
export interface Messages {
  readonly all: readonly Message[];
  get(id: string): Message | undefined;
  /** One of the server, which may be one of ours, or one that is known. Returns whether it is new. */
  received(message: ChatMessage): boolean;
  written(id: string, user: string, content: string, timestamp?: string): Message;
  remove(id: string): void;
}

export const makeMessages = (kept: readonly Message[] = []): Messages => {
  const byId = new Map(kept.map((message) => [message.id, message]));
  const sent: Message[] = [...kept];
  const waiting: Message[] = [];
  const drop = (list: Message[], id: string): void => {
    const at = list.findIndex((message) => message.id === id);
    if (at >= 0) {
      list.splice(at, 1);
    }
  };
  return {
    get all() {
      return [...sent, ...waiting];
    },
    get: (id) => byId.get(id),
    received({ messageId: id, userId: user, content, timestamp, edited }) {
      const known = byId.get(id);
      if (known && sent.includes(known)) {
        known.delivery = "sent";
        return false;
      }
      const message: Message = known ?? { id, user, content, timestamp, edited, deleted: false, delivery: "sent" };
      Object.assign(message, { content, timestamp, edited, delivery: "sent", problem: undefined, cancel: undefined });
      byId.set(id, message);
      drop(waiting, id);
      sent.push(message);
      for (const { id: old } of sent.splice(0, sent.length - MOST)) {
        byId.delete(old);
      }
      return !known;
    },
    written(id, user, content, timestamp = new Date().toISOString()) {
      const message: Message = {
        id,
        user,
        content,
        timestamp,
        edited: false,
        deleted: false,
        delivery: "pending",
      };
      byId.set(id, message);
      waiting.push(message);
      return message;
    },
    remove(id) {
      byId.delete(id);
      drop(waiting, id);
      drop(sent, id);
    },
  };
};
