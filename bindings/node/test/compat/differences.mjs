// What @hubwire/node does otherwise on purpose: a line of the official client, the lines or patterns that come instead of it, and why.

const TEXTS = "The text is that of the HTTP client in use, and says what happened.";
const ORDER = "Calls end with the stop, and not when the server has said goodbye.";
const CANCELLED = "call rejected error: Invocation canceled due to the underlying connection being closed.";
const CLOSED = "onclose no error in Disconnected, id null";

/** @type {{scenario: string, from: string, to: (string | RegExp)[], why: string, ways?: string[]}[]} */
const DIFFERENCES = [
  {
    scenario: "tokens",
    from: "rejected error: Failed to complete negotiation with the server: Error: no token to be had",
    to: ["rejected error: The access token factory failed: no token to be had"],
    why: "The server was not asked: the text says who failed.",
  },
  {
    scenario: "a server that stays away",
    ways: ["ServerSentEvents"],
    from: "onreconnecting no error in Reconnecting, id null",
    to: [/^onreconnecting error: .+ in Reconnecting, id null$/],
    why: "There is always a reason.",
  },
  {
    scenario: "a server that stays away",
    ways: ["LongPolling"],
    from: "onreconnecting error: fetch failed in Reconnecting, id null",
    to: [/^onreconnecting error: .*connection.* in Reconnecting, id null$/],
    why: TEXTS,
  },
  {
    scenario: "negotiations that fail",
    from: "rejected error: Failed to complete negotiation with the server: TypeError: fetch failed",
    to: [/^rejected error: Failed to complete negotiation with the server: .*Connection refused/],
    why: TEXTS,
  },
  { scenario: "a stop while a call waits", from: CANCELLED, to: [], why: ORDER },
  { scenario: "a stop while a call waits", from: CLOSED, to: [CANCELLED, CLOSED], why: ORDER },
];

export const differences = (scenario, transport, protocol) =>
  DIFFERENCES.filter(
    ({ scenario: name, ways }) => name === scenario && (!ways || ways.includes(transport) || ways.includes(protocol)),
  );
