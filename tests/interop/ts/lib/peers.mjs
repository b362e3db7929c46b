// What each peer's server cannot do, and why. The only place where scenarios are left out: a scenario names the
// capabilities it `needs`, and is skipped with the reason given here. A peer that is not listed can do everything.

const go = {
  users: 'the Go server has no users and no authentication',
  'error-texts': 'the Go server has error texts of its own (HUB.md lists them)',
  'stream-errors': 'a Go stream is a channel, which cannot end with an error',
  'upload-errors': 'the Go server closes the connection when an upload ends with an error',
  'null-results': 'the Go server leaves out a result that is null',
  'silent-send': 'the Go server answers a failing call that has no id, with a completion whose id is empty',
  'strict-streams': 'the Go server runs every method for both kinds of call',
  'messagepack-close': 'the Go server writes a MessagePack Close of four elements behind a header that says three',
  'messagepack-pings': 'the Go server does not see MessagePack pings until a longer message follows them',
  'handshake-texts': 'the Go server has handshake errors of its own, or closes without one',
  'messages-behind-handshake': 'the Go server drops what follows the handshake in its frame',
  'unknown-types': 'the Go server closes on a message type it does not know',
  'negotiate-strict': 'the Go server takes any negotiate version, and has other statuses for bad requests',
  'client-results': 'the Go server sends no invocations that expect a result, and closes on a completion it did not ask for',
};

const peers = { hubwire: {}, go };

/** The reason why `peer` cannot run a scenario with these needs, or undefined. */
export function cannot(peer, needs = []) {
  const lacks = peers[peer] ?? {};
  const missing = needs.find((need) => lacks[need]);
  return missing && lacks[missing];
}

export const knownPeers = Object.keys(peers);
