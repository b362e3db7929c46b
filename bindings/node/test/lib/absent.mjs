// Tests of the browser package that ask for what only a browser has: by file and name, with the reason.

const NETWORK = "Node is not told whether there is a network";
const PAGES = "Node has no pages";

export const ABSENT = {
  "harness.test.mjs": {
    "the harness > takes the browser offline and back": NETWORK,
    "the harness > hides and shows the page": PAGES,
    "the harness > freezes the page, and something happens meanwhile": PAGES,
    "the harness > opens, reloads and leaves other pages of the same origin": PAGES,
  },
  "loading.test.mjs": Object.fromEntries(
    ["WebSockets in JSON", "WebSockets in MessagePack", "LongPolling in JSON", "LongPolling in MessagePack"].map((way) => [
      `in a service worker > a call is answered over ${way}`,
      "Node has no service workers",
    ]),
  ),
  "resilience.test.mjs": {
    "a connection that is cut > does not leave a stream of events to the browser, which would open it again":
      "the native module reads streams of events, and there is no EventSource to be given",
    "the page > is told offline, and back online connects at once": NETWORK,
    "the page > was frozen while the connection was cut": PAGES,
  },
};

/** Marks them. A name that is no test's is an error: nothing is left out by accident. */
export function leaveOut(file, tests) {
  for (const [name, reason] of Object.entries(ABSENT[file] ?? {})) {
    const test = tests.find((test) => test.name === name);
    if (!test) throw new Error(`absent.mjs names a test that is not there: ${name}`);
    test.skip = reason;
  }
}
