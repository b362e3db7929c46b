// The package loads its module, connects and calls, wherever it may be used.
import * as hubwire from "/test/page/hubwire.js";
import { assert, describe, harness, test, within } from "/test/page/harness.js";

/** Sent to workers as it is. */
async function echo(
  { HubConnectionBuilder, MessagePackHubProtocol, HttpTransportType },
  { url, transport, messagePack },
) {
  const builder = new HubConnectionBuilder().withUrl(url, { transport: HttpTransportType[transport] });
  const connection = (messagePack ? builder.withHubProtocol(new MessagePackHubProtocol()) : builder).build();
  await connection.start();
  try {
    return await connection.invoke("Echo", { text: "héllo ✓", list: [1, 2.5, null] });
  } finally {
    await connection.stop();
  }
}

const EXPECTED = { text: "héllo ✓", list: [1, 2.5, null] };

const PLACES = {
  "a page": async () => ({ run: (action, argument) => action(hubwire, argument), close: () => {} }),
  "a dedicated worker": async () => harness.worker(),
  "a service worker": () => within("the service worker", harness.serviceWorker()),
};

for (const [place, open] of Object.entries(PLACES)) {
  describe(`in ${place}`, () => {
    // Service workers have no EventSource.
    const events = place === "a service worker" ? [] : ["ServerSentEvents"];
    for (const transport of ["WebSockets", ...events, "LongPolling"]) {
      for (const messagePack of transport === "ServerSentEvents" ? [false] : [false, true]) {
        test(`a call is answered over ${transport} in ${messagePack ? "MessagePack" : "JSON"}`, async ({ defer }) => {
          const { run, close } = await open();
          defer(close);
          const url = harness.server.url;
          assert.deepEqual(await within("the answer", run(echo, { url, transport, messagePack })), EXPECTED);
        });
      }
    }
  });
}
