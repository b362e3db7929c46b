// What each peer's server cannot do, and why: ../../peers.json, which all clients share. The only place where scenarios are
// left out: a scenario names the capabilities it `needs`, and is skipped with the reason given there.
import { readFileSync } from 'node:fs';

const { servers } = JSON.parse(readFileSync(new URL('../../peers.json', import.meta.url), 'utf8'));

/** The reason why `peer` cannot run a scenario with these needs, or undefined. */
export function cannot(peer, needs = []) {
  const lacks = servers[peer] ?? {};
  const missing = needs.find((need) => lacks[need]);
  return missing && lacks[missing];
}

export const knownPeers = Object.keys(servers);
