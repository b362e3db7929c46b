import { HubConnectionState, HubError } from "@hubwire/web";
import type { ChatHubClient } from "@hubwire/web/hubs";
import { makeChanges, type Changes } from "./changes.js";
import { recall, recallDrafts, remember, rememberDrafts } from "./memory.js";
import { makeMessages, type Message, type Messages } from "./messages.js";

/** Something that happened in a conversation besides messages, behind the message that was last then. */
export interface Notice {
  readonly key: string;
  readonly text: string;
  readonly after: string | undefined;
}

export interface Conversation {
  readonly id: string;
  readonly messages: Messages;
  /** Who is there, as far as this page has seen. */
  readonly members: Set<string>;
  readonly notices: Notice[];
  typing: readonly string[];
  unread: number;
}

const FIRST = ["general", "release", "random"];
const NOTICES = 50;
/** How long changes are collected before they are kept. */
const KEEP_AFTER = 200;

/** The conversations of one user. */
export interface Chat {
  readonly user: string;
  readonly changes: Changes;
  readonly conversations: ReadonlyMap<string, Conversation>;
  readonly current: Conversation;
  readonly connected: boolean;
  select(id: string): void;
  join(id: string): void;
  leave(id: string): void;
  send(content: string): void;
  /** Sends a message again that has failed, under its old id: whoever has it already does not get it twice. */
  resend(message: Message): void;
  edit(message: Message, content: string): void;
  remove(message: Message): void;
  typing(isTyping: boolean): void;
}

const describe = (error: unknown): string =>
  error instanceof HubError && error.kind === "OutcomeUnknown"
    ? "It is not known whether the server has it."
    : error instanceof Error
      ? error.message
      : String(error);

const randomId = (): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

export const makeChat = (user: string, hub: ChatHubClient): Chat => {
  const { connection } = hub;
  const changes = makeChanges();
  const conversations = new Map<string, Conversation>();
  let notices = 0;

  const open = (id: string, kept: readonly Message[] = []): Conversation => {
    const members = new Set([user, ...kept.map((message) => message.user)]);
    const made: Conversation = { id, messages: makeMessages(kept), members, notices: [], typing: [], unread: 0 };
    conversations.set(id, made);
    return made;
  };
  const memory = recall(user);
  memory?.conversations.forEach(({ id, messages }) => open(id, messages));
  if (!conversations.size) {
    FIRST.forEach((id) => open(id));
  }
  let current = [...conversations.values()][0]!;

  let positions = memory?.positions ?? [];
  let keeping: ReturnType<typeof setTimeout> | undefined;
  const keepNow = (): void =>
    remember(user, {
      // Older than the messages, if anything: then some come again, and are known; none is skipped.
      positions,
      conversations: [...conversations.values()].map(({ id, messages }) => ({
        id,
        messages: messages.all
          .filter(({ delivery }) => delivery === "sent")
          .map((message) => ({ ...message, busy: undefined, problem: undefined })),
      })),
    });
  const keep = (): void => {
    keeping ??= setTimeout(async () => {
      keeping = undefined;
      positions = await connection.positions().catch(() => positions);
      keepNow();
    }, KEEP_AFTER);
  };
  addEventListener("pagehide", keepNow);

  const keepDrafts = (): void => {
    rememberDrafts(
      user,
      [...conversations.values()].flatMap(({ id: conversation, messages }) =>
        messages.all
          .filter(({ delivery }) => delivery !== "sent")
          .map(({ id, content, timestamp }) => ({ id, conversation, content, timestamp })),
      ),
    );
  };
  const changed = (): void => {
    changes.tell();
    keep();
  };

  const notice = (conversation: Conversation, text: string): void => {
    const after = conversation.messages.all.filter(({ delivery }) => delivery === "sent").at(-1)?.id;
    conversation.notices.push({ key: `notice-${notices++}`, text, after });
    conversation.notices.splice(0, conversation.notices.length - NOTICES);
    changed();
  };

  const follow = async (conversation: Conversation, message: Message, sending: Promise<unknown>): Promise<void> => {
    try {
      await sending;
      message.delivery = "sent";
    } catch (error) {
      if (error instanceof HubError && error.kind === "Cancelled") {
        conversation.messages.remove(message.id);
      } else if (message.delivery === "pending") {
        message.delivery = "failed";
        message.problem = describe(error);
      }
    }
    message.cancel = undefined;
    keepDrafts();
    changed();
  };
  const dispatch = (conversation: Conversation, message: Message): void => {
    const taken = new AbortController();
    message.delivery = "pending";
    message.problem = undefined;
    message.cancel = () => taken.abort();
    keepDrafts();
    const options = { messageId: message.id, durable: true, signal: taken.signal };
    void follow(conversation, message, hub.sendMessage(conversation.id, message.content, options));
    changes.tell();
  };
  const change = async (message: Message, busy: "edit" | "delete", call: Promise<void>): Promise<void> => {
    message.busy = busy;
    message.problem = undefined;
    changes.tell();
    try {
      await call;
    } catch (error) {
      message.problem = describe(error);
    }
    message.busy = undefined;
    changed();
  };

  hub.on("messageReceived", (message) => {
    const conversation = conversations.get(message.conversationId);
    if (conversation?.messages.received(message)) {
      conversation.members.add(message.userId);
      conversation.unread += conversation === current ? 0 : 1;
    }
    keepDrafts();
    changed();
  });
  hub.on("messageEdited", ({ conversationId, messageId, content }) => {
    const message = conversations.get(conversationId)?.messages.get(messageId);
    if (message) {
      message.content = content;
      message.edited = true;
      changed();
    }
  });
  hub.on("messageDeleted", ({ conversationId, messageId }) => {
    const message = conversations.get(conversationId)?.messages.get(messageId);
    if (message) {
      message.content = "";
      message.deleted = true;
      changed();
    }
  });
  hub.on("userJoined", ({ conversationId, userId }) => {
    const conversation = conversations.get(conversationId);
    if (conversation && !conversation.members.has(userId)) {
      conversation.members.add(userId);
      notice(conversation, `${userId} joined`);
    }
  });
  hub.on("userLeft", ({ conversationId, userId }) => {
    const conversation = conversations.get(conversationId);
    if (conversation?.members.delete(userId)) {
      notice(conversation, `${userId} left`);
    }
  });
  hub.on("typingUpdate", ({ conversationId, typingUsers }) => {
    const conversation = conversations.get(conversationId);
    if (conversation) {
      conversation.typing = typingUsers.filter((other) => other !== user);
      changes.tell();
    }
  });
  connection.onStateChanged(({ to }) => {
    if (to !== HubConnectionState.Connected) {
      // Nobody knows any more.
      conversations.forEach((conversation) => (conversation.typing = []));
    }
    changes.tell();
  });
  connection.onEvent("gap", ({ source }) => {
    const name = source.type === "stream" ? source.stream.replace(/^group:/, "") : "";
    const conversation = conversations.get(name);
    if (conversation) {
      notice(conversation, "Messages may be missing here: the server does not have them any more.");
    }
  });
  connection.onEvent("rejoinFailed", ({ error }) => notice(current, `Could not join again: ${error.message}`));

  const enter = (conversation: Conversation): void => {
    hub.joinConversation(conversation.id).catch((error: unknown) => {
      notice(conversation, `Could not join: ${describe(error)}`);
    });
  };
  // First of all: nothing can be said in a conversation before it was joined.
  conversations.forEach(enter);

  // What an earlier page has left in the outbox.
  const drafts = recallDrafts(user);
  for (const { id, conversation, content, timestamp } of drafts) {
    conversations.get(conversation)?.messages.written(id, user, content, timestamp);
  }
  void connection.restoredCalls().then(async (calls) => {
    await Promise.allSettled(calls.map(({ result }) => result));
    for (const { id, conversation } of drafts) {
      const message = conversations.get(conversation)?.messages.get(id);
      if (message?.delivery === "pending" && !message.cancel) {
        message.delivery = "failed";
        message.problem = "It was not sent before the page was closed.";
      }
    }
    changed();
  });

  return {
    user,
    changes,
    conversations,
    get current() {
      return current;
    },
    get connected() {
      return connection.state === HubConnectionState.Connected;
    },
    select(id) {
      hub.stopTyping(current.id);
      current = conversations.get(id) ?? current;
      current.unread = 0;
      changes.tell();
    },
    join(id) {
      if (!conversations.has(id)) {
        enter(open(id));
      }
      this.select(id);
      keep();
    },
    leave(id) {
      if (conversations.size > 1 && conversations.delete(id)) {
        hub.leaveConversation(id).catch(() => {});
        current = [...conversations.values()][0]!;
        changed();
      }
    },
    send(content) {
      dispatch(current, current.messages.written(randomId(), user, content));
    },
    resend(message) {
      dispatch(current, message);
    },
    edit(message, content) {
      void change(message, "edit", hub.editMessage(current.id, message.id, content));
    },
    remove(message) {
      if (message.delivery === "sent") {
        void change(message, "delete", hub.deleteMessage(current.id, message.id));
      } else if (message.cancel) {
        message.cancel();
      } else {
        current.messages.remove(message.id);
        keepDrafts();
        changed();
      }
    },
    typing(isTyping) {
      isTyping ? hub.startTyping(current.id) : hub.stopTyping(current.id);
    },
  };
};
