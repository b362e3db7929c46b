// What @hubwire/node does otherwise than the official client, besides what every platform does.
import { withEverywhere } from "/test/compat/differences.mjs";

const TEXTS = "The text is that of the HTTP client in use, and says what happened.";

export const differences = withEverywhere([
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
]);
