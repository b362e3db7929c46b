// What Hubwire does otherwise on purpose: a line of the official client, the lines or patterns that come instead of it, and why.

const ORDER = "Calls end with the stop, and not when the server has said goodbye.";
const CANCELLED = "call rejected error: Invocation canceled due to the underlying connection being closed.";
const CLOSED = "onclose no error in Disconnected, id null";

/** @typedef {{scenario: string, from: string, to: (string | RegExp)[], why: string, ways?: string[]}} Difference */

/** On every platform. @type {Difference[]} */
const EVERYWHERE = [
  {
    scenario: "tokens",
    from: "rejected error: Failed to complete negotiation with the server: Error: no token to be had",
    to: ["rejected error: The access token factory failed: no token to be had"],
    why: "The server was not asked: the text says who failed.",
  },
];

/** In browsers. */
export const differences = withEverywhere([
  { scenario: "a stop while a call waits", from: CANCELLED, to: [], why: ORDER },
  { scenario: "a stop while a call waits", from: CLOSED, to: [CANCELLED, CLOSED], why: ORDER },
  {
    scenario: "a server that stays away",
    ways: ["ServerSentEvents"],
    from: "onreconnecting no error in Reconnecting, id null",
    to: ["onreconnecting error: The server closed the transport. in Reconnecting, id null"],
    why: "There is always a reason.",
  },
]);

/** Those of a scenario and a way, out of those of a platform and those that are everywhere. */
export function withEverywhere(own) {
  const all = [...EVERYWHERE, ...own];
  return (scenario, transport, protocol) =>
    all.filter(({ scenario: name, ways }) => name === scenario && (!ways || ways.includes(transport) || ways.includes(protocol)));
}
