// Many messages: all of them, once, in order.
import * as hubwire from "/test/page/hubwire.js";
import { assert, describe, harness, test, within } from "/test/page/harness.js";

const MESSAGES = 100_000;
/** The server ends connections for which too much waits; so many at a time do not. */
const PORTION = 1_000;

describe("100,000 messages", () => {
  for (const [encoding, protocol] of [
    ["json", new hubwire.JsonHubProtocol()],
    ["messagepack", new hubwire.MessagePackHubProtocol()],
  ]) {
    test(`come once and in order in ${encoding}`, async ({ defer }) => {
      const connection = new hubwire.HubConnectionBuilder()
        .withUrl(harness.server.url)
        .withHubProtocol(protocol)
        .configureLogging(hubwire.LogLevel.None)
        .build();
      defer(() => connection.stop());
      let [next, wrong] = [0, 0];
      connection.on("event", (n) => {
        wrong += n !== next;
        next = n + 1;
      });
      await connection.start();
      for (let first = 0; first < MESSAGES; first += PORTION)
        await within("the end of a portion", connection.invoke("PushFrom", "event", first, PORTION));
      assert.deepEqual([next, wrong], [MESSAGES, 0]);
      const { messagesReceived, gaps, duplicatesDropped } = await connection.metrics();
      assert.ok(messagesReceived >= MESSAGES, `${messagesReceived} were counted`);
      assert.deepEqual([gaps, duplicatesDropped], [0, 0]);
    }, { timeout: 90_000 });

    test(`come once and in order in ${encoding} as a stream`, async ({ defer }) => {
      const connection = new hubwire.HubConnectionBuilder().withUrl(harness.server.url).withHubProtocol(protocol).build();
      defer(() => connection.stop());
      await connection.start();
      let next = 0;
      const ended = new Promise((resolve, reject) => {
        connection.stream("Count", MESSAGES, 0).subscribe({
          next: (n) => (n === next ? next++ : reject(new Error(`${n} instead of ${next}`))),
          complete: resolve,
          error: reject,
        });
      });
      await within("the end of the stream", ended, 60_000);
      assert.equal(next, MESSAGES);
    }, { timeout: 90_000 });
  }
});
