// What @hubwire/web does otherwise on purpose: a line of the official client, the lines that come instead of it, and why.

const CANCELLED = "call rejected error: Invocation canceled due to the underlying connection being closed.";
const CLOSED = "onclose no error in Disconnected, id null";
const ORDER = "A call ends when the stop begins, and not when the socket is closed.";

/** @type {{scenario: string, from: string, to: string[], why: string, ways?: string[]}[]} */
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
    to: ["onreconnecting error: The server closed the transport. in Reconnecting, id null"],
    why: "There is always a reason.",
  },
  { scenario: "a stop while a call waits", from: CANCELLED, to: [], why: ORDER },
  { scenario: "a stop while a call waits", from: CLOSED, to: [CANCELLED, CLOSED], why: ORDER },
];

export const differences = (scenario, transport, protocol) =>
  DIFFERENCES.filter(
    ({ scenario: name, ways }) => name === scenario && (!ways || ways.includes(transport) || ways.includes(protocol)),
  );
