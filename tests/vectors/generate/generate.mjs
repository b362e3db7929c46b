// Writes the golden vectors into the folder given as the only argument. Deterministic: no clock, no randomness.
//
// `canonical` bytes come from the writers in lib/, which share no code with the official packages. `official` bytes come
// from the official packages. Every canonical encoding, and every lenient input the official packages can read, is read
// back by them and must give the message the vector names; otherwise nothing is written.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import * as canonical from './lib/canonical.mjs';
import * as official from './lib/official.mjs';
import { frame } from './lib/msgpack.mjs';
import { hex, pretty, unhex } from './lib/text.mjs';
import messages from './data/messages.mjs';
import leniency from './data/leniency.mjs';
import malformed from './data/malformed.mjs';
import * as handshake from './data/handshake.mjs';
import negotiate from './data/negotiate.mjs';
import delivery from './data/delivery.mjs';

const fail = (text) => {
  throw new Error(text);
};

/** Readers may keep maps sorted; their writers must still give the same bytes, so the vectors use sorted keys. */
function sortedKeys(name, value) {
  if (value === null || typeof value !== 'object') return;
  if (!Array.isArray(value)) {
    const keys = Object.keys(value);
    const sorted = [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    if (!isDeepStrictEqual(keys, sorted)) fail(`${name}: object keys are not in byte order: ${keys}`);
  }
  for (const inner of Object.values(value)) sortedKeys(name, inner);
}

function messageVector({ name, message, only, official: writes = true, spec, decodeOnly }) {
  const payload = { arguments: message.arguments, item: message.item, result: message.result, headers: message.headers };
  for (const part of Object.values(payload)) if (part !== undefined) sortedKeys(name, part);
  const vector = { name, message };
  if (only !== 'messagepack') {
    const text = canonical.json(message);
    official.checkJson(name, text, [message]);
    official.checkPlainJson(name, text, message);
    vector.json = { canonical: text };
    if (writes) {
      vector.json.official = official.officialJson(message);
      official.checkJson(`${name} (official)`, vector.json.official, [message]);
      official.checkPlainJson(`${name} (official)`, vector.json.official, message);
    }
  }
  if (only !== 'json') {
    const bytes = canonical.messagepack(message);
    official.checkMessagepack(name, bytes, message);
    official.checkLayout(name, bytes, message);
    vector.messagepack = decodeOnly ? {} : { canonical: hex(bytes) };
    if (spec) {
      const fromSpec = frame(unhex(spec));
      official.checkMessagepack(`${name} (specification)`, fromSpec, message);
      if (decodeOnly === (hex(fromSpec) === hex(bytes))) fail(`${name}: the specification's bytes are marked wrongly as decode-only or not`);
      if (decodeOnly) vector.messagepack.decode = hex(fromSpec);
    } else if (writes) {
      const witness = official.officialMessagepack(message);
      if (witness) {
        official.checkMessagepack(`${name} (official)`, witness, message);
        // Where the official writer has the same layout it must give the same bytes.
        const sixElements = message.type !== 1 && message.type !== 4 ? message.type !== 7 : message.streamIds;
        if (sixElements && hex(witness) !== hex(bytes)) fail(`${name}: ${hex(bytes)} is not the official ${hex(witness)}`);
        vector.messagepack.official = hex(witness);
      }
    }
  }
  return vector;
}

/** Whether the official parser reads this input as the vector says. Where it does not, the vector must be marked so. */
function checkLeniency({ name, encoding, text, hex: bytes, message, messages: several, options }) {
  const expected = several ?? (message === null ? [] : [message]);
  let agrees = true;
  try {
    if (encoding === 'json') official.checkJson(name, text, expected);
    else official.checkChunk(name, unhex(bytes), expected);
  } catch (error) {
    if (options.official !== false) throw error;
    agrees = false;
  }
  if (agrees && options.official === false) fail(`${name}: marked as read differently by the official client, but it is not`);
}

function checkHandshakes() {
  for (const { name, text, request, canonical: written } of handshake.requests) {
    if (written && official.officialHandshakeRequest(request) !== text) fail(`handshake request ${name}: not as official`);
  }
  for (const { name, text, response, remainder } of handshake.responses) {
    if (!response) continue;
    const rest = remainder ? Buffer.from(remainder, 'hex').toString('latin1') : '';
    const [left, got] = official.officialHandshakeResponse(text + rest);
    if ((left ?? '') !== rest) fail(`handshake response ${name}: the official client leaves ${left}`);
    if ((got.error ?? undefined) !== response.error) fail(`handshake response ${name}: the official client reads ${got.error}`);
  }
}

function unique(file, vectors) {
  const seen = new Set();
  for (const { name, encoding = '' } of vectors) {
    if (seen.has(`${encoding} ${name}`)) fail(`${file}: two vectors are named ${name}`);
    seen.add(`${encoding} ${name}`);
  }
}

const [folder] = process.argv.slice(2);
if (!folder) fail('usage: node generate.mjs FOLDER');

leniency.forEach(checkLeniency);
checkHandshakes();
const source = official.versions;
const files = {
  'messages.json': { source, vectors: messages.map(messageVector) },
  'leniency.json': { source, vectors: leniency.map(({ options, ...vector }) => vector) },
  'malformed.json': { vectors: malformed },
  'handshake.json': { source, requests: handshake.requests, responses: handshake.responses, serverErrors: handshake.serverErrors },
  'negotiate.json': { vectors: negotiate },
  'delivery.json': { vectors: delivery },
};

mkdirSync(folder, { recursive: true });
for (const [name, content] of Object.entries(files)) {
  const lists = Object.entries(content).filter(([, value]) => Array.isArray(value));
  for (const [list, vectors] of lists) unique(`${name} ${list}`, vectors);
  writeFileSync(join(folder, name), `${pretty(content)}\n`);
  console.log(`${name}: ${lists.map(([list, vectors]) => `${vectors.length} ${list}`).join(', ')}`);
}
