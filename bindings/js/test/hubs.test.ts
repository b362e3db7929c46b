import assert from "node:assert/strict";
import { afterEach, mock, test } from "node:test";
import {
  HubClient,
  ChatHubClient,
  TaskHubClient,
  chatHub,
  configureHub,
  taskHub,
  videoHub,
} from "../src/hubs/index.js";
import { make, makeConnected } from "./fake-backend.js";

afterEach(() => mock.timers.reset());

const makeChat = async () => {
  const made = await makeConnected((builder) => configureHub(builder, chatHub));
  return {
    ...made,
    chat: new ChatHubClient(made.connection),
    sent: () => made.fake.calls.map(({ target, args }) => [target, ...args]),
  };
};

test("methods of the chat hub have the arguments of its contract", async () => {
  const { chat, sent, fake } = await makeChat();
  assert.deepEqual(fake.config.joins, [{ join: "JoinConversation", leave: "LeaveConversation" }]);
  void chat.joinConversation("c");
  const message = chat.sendMessage("c", "hello", { messageId: "m", durable: true });
  void chat.editMessage("c", "m", "new");
  void chat.deleteMessage("c", "m");
  void chat.markAsRead("c", "m");
  void chat.leaveConversation("c");
  assert.deepEqual(sent(), [
    ["JoinConversation", "c"],
    ["SendMessage", { conversationId: "c", content: "hello", messageId: "m" }],
    ["EditMessage", { conversationId: "c", messageId: "m", newContent: "new" }],
    ["DeleteMessage", { conversationId: "c", messageId: "m" }],
    ["MarkAsRead", { conversationId: "c", messageId: "m" }],
    ["LeaveConversation", "c"],
  ]);
  assert.deepEqual(fake.calls[0]?.options, { priority: "critical" });
  assert.deepEqual(fake.calls[1]?.options, { durable: true });
  fake.complete(2, { messageId: "m" });
  assert.deepEqual(await message, { messageId: "m" });
});

test("messages have ids of their own", async () => {
  const { chat, fake } = await makeChat();
  void chat.sendMessage("c", "a");
  void chat.sendMessage("c", "b");
  const ids = fake.calls.map(({ args: [message] }) => (message as { messageId: string }).messageId);
  assert.match(ids[0] ?? "", /^[0-9a-f]{32}$/);
  assert.notEqual(ids[0], ids[1]);
});

test("events of the chat hub, until they are not wanted any more", async () => {
  const { chat, fake } = await makeChat();
  const seen: unknown[] = [];
  const off = chat.on("messageReceived", ({ content }) => seen.push(content));
  chat.on("typingUpdate", ({ typingUsers }) => seen.push(typingUsers));
  fake.message("ReceiveMessage", [{ content: "hello" }]);
  fake.message("TypingUpdate", [{ typingUsers: ["bob"] }]);
  off();
  fake.message("ReceiveMessage", [{ content: "again" }]);
  assert.deepEqual(seen, ["hello", ["bob"]]);
});

test("a failing handler is a failure of the message, asynchronous or not", async () => {
  const { chat, fake } = await makeChat();
  chat.on("userJoined", async () => {
    throw new Error("no");
  });
  fake.message("UserJoined", [{}], { delivery: 1 });
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(fake.of("handled"), [[1, "no"]]);
});

test("writing is told at once, again before the server forgets it, and its end after 3 s", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const { chat, fake, sent } = await makeChat();
  chat.startTyping("c");
  mock.timers.tick(1_000);
  chat.startTyping("c");
  assert.deepEqual(sent(), [["StartTyping", "c"]]);
  assert.deepEqual([fake.calls[0]?.kind, fake.calls[0]?.options], ["send", { queue: false }]);
  mock.timers.tick(2_000);
  chat.startTyping("c");
  assert.equal(sent().length, 2);
  chat.startTyping("other");
  mock.timers.tick(2_999);
  assert.deepEqual(sent().slice(1), [
    ["StartTyping", "c"],
    ["StartTyping", "other"],
  ]);
  mock.timers.tick(1);
  assert.deepEqual(sent().slice(3), [
    ["StopTyping", "c"],
    ["StopTyping", "other"],
  ]);
  chat.stopTyping("c");
  assert.equal(sent().length, 5);
});

test("stopping is told once, and a message or leaving says it by itself", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const { chat, sent } = await makeChat();
  chat.startTyping("a");
  chat.stopTyping("a");
  chat.startTyping("a");
  void chat.sendMessage("a", "text", { messageId: "m" });
  chat.startTyping("a");
  void chat.leaveConversation("a");
  mock.timers.tick(10_000);
  assert.deepEqual(
    sent().map(([target]) => target),
    ["StartTyping", "StopTyping", "StartTyping", "SendMessage", "StartTyping", "LeaveConversation"],
  );
});

test("what cannot be told of writing is nobody's concern", async () => {
  const { chat, fake } = await makeChat();
  chat.startTyping("c");
  fake.fail(1, { kind: "Network", text: "no connection" });
  chat.stopTyping("c");
});

test("tasks are subscribed to, and again by the core", () => {
  const { connection, fake } = make((builder) => configureHub(builder, taskHub));
  assert.deepEqual(
    fake.config.joins?.map(({ join, leave }) => [join, leave]),
    [
      ["SubscribeToTask", "UnsubscribeFromTask"],
      ["SubscribeToTaskType", "UnsubscribeFromTaskType"],
    ],
  );
  const tasks = new TaskHubClient(connection);
  void tasks.subscribeToTask("7", "video_generation");
  void tasks.unsubscribeFromTask("7");
  void tasks.subscribeToTaskType("image_generation");
  void tasks.unsubscribeFromTaskType("image_generation");
  void tasks.ping();
  assert.deepEqual(
    fake.calls.map(({ target, args }) => [target, ...args]),
    [
      ["SubscribeToTask", "7"],
      ["UnsubscribeFromTask", "7"],
      ["SubscribeToTaskType", "image_generation"],
      ["UnsubscribeFromTaskType", "image_generation"],
      ["Ping"],
    ],
  );
});

test("a task that makes a video is subscribed to on the hub for that, too", async () => {
  const [tasksHub, video] = [make(), make()];
  const asked: unknown[] = [];
  const tasks = new TaskHubClient(tasksHub.connection, (hub) => {
    asked.push(hub);
    return video.connection;
  });
  const both = tasks.subscribeToTask("7", "video_generation");
  void tasks.subscribeToTask("8", "video_generation");
  void tasks.subscribeToTask("9", "spend_update");
  assert.deepEqual(asked, [videoHub], "asked for once");
  assert.deepEqual(
    video.fake.calls.map(({ args }) => args[0]),
    ["7", "8"],
  );
  tasksHub.fake.complete(1);
  video.fake.fail(1, { kind: "Refused", text: "Unauthorized access to task" });
  await assert.rejects(both, { message: "Unauthorized access to task" });
});

test("events of tasks are objects, whether they come as one or as a list", () => {
  const { connection, fake } = make();
  const tasks = new TaskHubClient(connection);
  const seen: unknown[] = [];
  for (const event of [
    "taskStarted",
    "taskProgress",
    "taskCompleted",
    "taskFailed",
    "taskCancelled",
    "taskTimedOut",
  ] as const) {
    tasks.on(event, (value) => seen.push(value));
  }
  const whole = { taskId: "7", progressPercentage: 40, status: "running", message: null };
  fake.message("TaskStarted", ["7", "video_generation", { virtualKeyId: 1 }]);
  fake.message("TaskProgress", [whole]);
  fake.message("TaskProgress", ["7", 50, null]);
  fake.message("TaskCompleted", ["7", { url: "u" }]);
  fake.message("TaskFailed", ["7", "no", true]);
  fake.message("TaskCancelled", ["7", "because"]);
  fake.message("TaskTimedOut", ["7", 30]);
  assert.deepEqual(seen, [
    { taskId: "7", taskType: "video_generation", metadata: { virtualKeyId: 1 } },
    whole,
    { taskId: "7", progressPercentage: 50, message: null },
    { taskId: "7", result: { url: "u" } },
    { taskId: "7", error: "no", isRetryable: true },
    { taskId: "7", reason: "because" },
    { taskId: "7", timeoutSeconds: 30 },
  ]);
});

test("another hub is a few lines", async () => {
  type EchoMethods = { Echo(text: string): string };
  interface EchoEvents {
    echoed: { text: string };
  }
  class EchoHubClient extends HubClient<EchoMethods, EchoEvents> {
    echo(text: string): Promise<string> {
      return this.invoke("Echo", text);
    }
  }
  const { connection, fake } = await makeConnected();
  const echo = new EchoHubClient(connection, { echoed: ["Echoed", "text"] });
  const texts: string[] = [];
  echo.on("echoed", ({ text }) => texts.push(text));
  const answer = echo.echo("a");
  fake.message("Echoed", ["a"]);
  fake.complete(1, "a");
  assert.deepEqual([await answer, texts], ["a", ["a"]]);
});
