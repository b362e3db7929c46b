import assert from "node:assert/strict";
import { test } from "node:test";
import * as official from "@microsoft/signalr";
import * as ours from "../src/index.js";

test("everything the official package exports is here, but for what platforms add", () => {
  const missing = Object.keys(official).filter((name) => name !== "default" && !(name in ours));
  assert.deepEqual(missing, ["HubConnectionBuilder", "JsonHubProtocol"]);
});

test("enums have the same values", () => {
  for (const name of [
    "LogLevel",
    "HttpTransportType",
    "TransferFormat",
    "MessageType",
    "HubConnectionState",
  ] as const) {
    assert.deepEqual(ours[name], official[name], name);
  }
});

test("errors have the same texts", () => {
  const pairs = [
    [new ours.AbortError(), new official.AbortError()],
    [new ours.TimeoutError(), new official.TimeoutError()],
    [new ours.HttpError("text", 404), new official.HttpError("text", 404)],
  ] as const;
  for (const [our, their] of pairs) {
    assert.equal(our.message, their.message);
  }
});
