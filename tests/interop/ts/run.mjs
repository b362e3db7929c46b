// The official SignalR client against a server that has the interop hub of ../HUB.md.
// node run.mjs --url http://127.0.0.1:PORT/hubs/interop [--peer NAME] [--token TOKEN] [--report FILE]
//              [--transports WebSockets,…] [--protocols json,messagepack] [--only PART-OF-NAME]
//              [--fault-proxy PROGRAM] [--no-skips]
// --no-skips also runs what the peer is said to be unable to do, to see whether that still holds.
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { clientName } from './lib/connect.mjs';
import { runScenario } from './lib/harness.mjs';
import { cannot, knownPeers } from './lib/peers.mjs';
import { notes, table, totals } from './lib/report.mjs';
import values from './scenarios/values.mjs';
import errors from './scenarios/errors.mjs';
import push from './scenarios/push.mjs';
import streams from './scenarios/streams.mjs';
import clientResults from './scenarios/client-results.mjs';
import lifetime from './scenarios/lifetime.mjs';
import wire from './scenarios/wire.mjs';
import stateful from './scenarios/stateful.mjs';

const transports = ['WebSockets', 'ServerSentEvents', 'LongPolling'];
const protocols = ['json', 'messagepack'];

const { values: options } = parseArgs({
  options: {
    url: { type: 'string' },
    peer: { type: 'string', default: 'hubwire' },
    token: { type: 'string' },
    report: { type: 'string' },
    'fault-proxy': { type: 'string' },
    transports: { type: 'string', default: 'WebSockets' },
    protocols: { type: 'string', default: protocols.join(',') },
    only: { type: 'string', default: '' },
    'no-skips': { type: 'boolean', default: false },
  },
});

function choice(name, given, known) {
  for (const item of given) if (!known.includes(item)) stop(`--${name}: "${item}" is none of ${known.join(', ')}`);
  return given;
}

function stop(text) {
  console.error(text);
  process.exit(2);
}

if (!options.url) stop('--url is missing');
choice('peer', [options.peer], knownPeers);

const scenarios = [values, errors, push, streams, clientResults, lifetime, wire, stateful].flat();
const names = scenarios.map(({ name }) => name);
const twice = names.find((name, at) => names.indexOf(name) !== at);
if (twice) stop(`two scenarios are named ${twice}`);
const chosen = scenarios.filter(({ name }) => name.includes(options.only));
if (chosen.length === 0) stop(`--only ${options.only}: no scenario has that in its name`);

/** Whether a scenario is about this protocol and transport at all. */
const applies = (scenario, protocol, transport) =>
  (scenario.protocols ?? protocols).includes(protocol) && (scenario.transports ?? transports).includes(transport);

/** Why the peer cannot run a scenario, or undefined. */
function reasonToSkip(scenario, protocol) {
  if (scenario.faultProxy && !options['fault-proxy']) return 'it needs the fault proxy: --fault-proxy PROGRAM';
  if (options['no-skips']) return undefined;
  return cannot(options.peer, [...(scenario.needs ?? []), ...(scenario.needsFor?.[protocol] ?? [])]);
}

async function runAll(protocol, transport) {
  const target = {
    url: options.url, token: options.token, protocol, transport, faultProxy: options['fault-proxy'],
  };
  const results = [];
  for (const scenario of chosen.filter((one) => applies(one, protocol, transport))) {
    const reason = reasonToSkip(scenario, protocol);
    const outcome = reason ? { outcome: 'skip', reason, milliseconds: 0 } : await runScenario(scenario, target);
    results.push({ protocol, transport, scenario: scenario.name, ...outcome });
  }
  return results;
}

// What the official client throws outside of any promise of ours is a failure of the run, not a reason to stop it.
const stray = [];
process.on('unhandledRejection', (error) => stray.push(String(error?.message ?? error)));

const started = performance.now();
// Server-Sent Events carry text only.
const pairs = choice('protocols', options.protocols.split(','), protocols)
  .flatMap((protocol) => choice('transports', options.transports.split(','), transports).map((transport) => [protocol, transport]))
  .filter(([protocol, transport]) => protocol === 'json' || transport !== 'ServerSentEvents');
const results = (await Promise.all(pairs.map(([protocol, transport]) => runAll(protocol, transport)))).flat();
for (const text of stray) {
  results.push({ protocol: 'any', transport: 'any', scenario: 'no-stray-errors', outcome: 'fail', reason: text, milliseconds: 0 });
}

const { passed, failed, skipped } = totals(results);
console.log(`client ${clientName}, server ${options.peer} at ${options.url}\n`);
console.log(table(results));
console.log(`\n${notes(results)}`);
console.log(`\n${passed} passed, ${failed} failed, ${skipped} skipped in ${((performance.now() - started) / 1000).toFixed(1)} s`);
if (options.report) {
  writeFileSync(options.report, `${JSON.stringify({ client: clientName, peer: options.peer, results }, null, 1)}\n`);
}
process.exit(failed > 0 ? 1 : 0);
