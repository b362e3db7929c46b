import type { HubConnection } from "../connection.js";
import type { EventShape, HubDefinition } from "./client.js";
import { HubClient } from "./client.js";
import { TypingSignal } from "./typing.js";

/** The chat hub. Conversations that were joined are joined again after a new connection. */
export const chatHub: HubDefinition = {
  path: "/hubs/chat",
  joins: [{ join: "JoinConversation", leave: "LeaveConversation" }],
};

/** A message of a conversation. */
export interface ChatMessage {
  readonly messageId: string;
  readonly conversationId: string;
  readonly userId: string;
  readonly content: string;
  /** ISO 8601. */
  readonly timestamp: string;
  readonly edited: boolean;
}

/** Somebody came or went. */
export interface Membership {
  readonly conversationId: string;
  readonly userId: string;
  readonly type: "user_joined" | "user_left";
  readonly timestamp: string;
}

/** Who is writing, after a change of that. */
export interface TypingUpdate {
  readonly conversationId: string;
  readonly typingUsers: readonly string[];
  readonly timestamp: string;
}

export interface MessageDeleted {
  readonly conversationId: string;
  readonly messageId: string;
  readonly deletedBy: string;
  readonly timestamp: string;
}

/** Somebody has read as far as that. */
export interface ConversationUpdated {
  readonly conversationId: string;
  readonly userId: string;
  readonly lastReadMessageId: string;
  readonly timestamp: string;
}

/** Names a message. */
interface MessageRef {
  readonly conversationId: string;
  readonly messageId: string;
}

type ChatMethods = {
  SendMessage(message: MessageRef & { readonly content: string }): ChatMessage;
  JoinConversation(conversationId: string): void;
  LeaveConversation(conversationId: string): void;
  StartTyping(conversationId: string): void;
  StopTyping(conversationId: string): void;
  EditMessage(message: MessageRef & { readonly newContent: string }): void;
  DeleteMessage(message: MessageRef): void;
  MarkAsRead(message: MessageRef): void;
};

/** What {@link ChatHubClient.on} tells. */
export interface ChatEvents {
  messageReceived: ChatMessage;
  messageEdited: ChatMessage;
  messageDeleted: MessageDeleted;
  userJoined: Membership;
  userLeft: Membership;
  typingUpdate: TypingUpdate;
  conversationUpdated: ConversationUpdated;
}

const EVENTS: { readonly [K in keyof ChatEvents]: EventShape } = {
  messageReceived: ["ReceiveMessage"],
  messageEdited: ["MessageEdited"],
  messageDeleted: ["MessageDeleted"],
  userJoined: ["UserJoined"],
  userLeft: ["UserLeft"],
  typingUpdate: ["TypingUpdate"],
  conversationUpdated: ["ConversationUpdated"],
};

/** Options of {@link ChatHubClient.sendMessage}. */
export interface SendMessageOptions {
  /** Chosen at random unless set. */
  readonly messageId?: string;
  /** Outlives the page or process: see `CallOptions`. */
  readonly durable?: boolean;
  readonly signal?: AbortSignal;
}

/** A client of {@link chatHub}: `new ChatHubClient(manager.hub(chatHub))`. */
export class ChatHubClient extends HubClient<ChatMethods, ChatEvents> {
  readonly #typing: TypingSignal;

  constructor(connection: HubConnection) {
    super(connection, EVENTS);
    // Of no use later: whoever writes is still writing when the connection is back.
    const tell = (method: "StartTyping" | "StopTyping", conversationId: string): void => {
      this.call(method, [conversationId], { kind: "send", queue: false }).catch(() => {});
    };
    this.#typing = new TypingSignal({
      start: (conversationId) => tell("StartTyping", conversationId),
      stop: (conversationId) => tell("StopTyping", conversationId),
    });
  }

  /** Sends a message to a conversation that was joined; fulfilled with the message as everybody gets it. */
  sendMessage(
    conversationId: string,
    content: string,
    { messageId = randomId(), ...options }: SendMessageOptions = {},
  ): Promise<ChatMessage> {
    // For the server it ends the writing.
    this.#typing.forget(conversationId);
    return this.call("SendMessage", [{ conversationId, content, messageId }], options);
  }

  joinConversation(conversationId: string): Promise<void> {
    // Before what an earlier page has left in the outbox: nothing can be said where one has not joined.
    return this.call("JoinConversation", [conversationId], { priority: "critical" });
  }

  leaveConversation(conversationId: string): Promise<void> {
    this.#typing.forget(conversationId);
    return this.invoke("LeaveConversation", conversationId);
  }

  /**
   * The user has pressed a key. The others see it at once, and until 3 s after the last call, {@link stopTyping} or a
   * message.
   */
  startTyping(conversationId: string): void {
    this.#typing.start(conversationId);
  }

  stopTyping(conversationId: string): void {
    this.#typing.stop(conversationId);
  }

  editMessage(conversationId: string, messageId: string, newContent: string): Promise<void> {
    return this.invoke("EditMessage", { conversationId, messageId, newContent });
  }

  deleteMessage(conversationId: string, messageId: string): Promise<void> {
    return this.invoke("DeleteMessage", { conversationId, messageId });
  }

  markAsRead(conversationId: string, messageId: string): Promise<void> {
    return this.invoke("MarkAsRead", { conversationId, messageId });
  }
}

/** 128 random bits; also in pages without a secure context, which have no `randomUUID`. */
const randomId = (): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
