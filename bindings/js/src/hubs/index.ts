/** Clients of single hubs, on top of the public API. */
export { configureHub, HubClient, type EventShape, type HubDefinition, type Methods } from "./client.js";
export {
  ChatHubClient,
  chatHub,
  type ChatEvents,
  type ChatMessage,
  type ConversationUpdated,
  type Membership,
  type MessageDeleted,
  type SendMessageOptions,
  type TypingUpdate,
} from "./chat.js";
export {
  TaskHubClient,
  imageHub,
  taskHub,
  videoHub,
  type TaskCancelled,
  type TaskCompleted,
  type TaskEvents,
  type TaskFailed,
  type TaskProgress,
  type TaskStarted,
  type TaskTimedOut,
} from "./tasks.js";
