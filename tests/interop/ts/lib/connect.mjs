// Ways to reach the hub: through the official client, through a bare WebSocket, and as a user with a token.
import { createHmac } from 'node:crypto';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
export const signalr = require('@microsoft/signalr');
const { MessagePackHubProtocol } = require('@microsoft/signalr-protocol-msgpack');
const WebSocket = require('ws');

export const RS = '\u001e';
export const handshake = `{"protocol":"json","version":1}${RS}`;
export const clientName = `@microsoft/signalr ${signalr.VERSION}`;

const protocols = {
  json: () => new signalr.JsonHubProtocol(),
  messagepack: () => new MessagePackHubProtocol(),
};

/** The official protocol, with everything it parsed kept in `seen`. */
function watched(inner, seen) {
  return {
    name: inner.name,
    version: inner.version,
    transferFormat: inner.transferFormat,
    writeMessage: (message) => inner.writeMessage(message),
    parseMessages(input, logger) {
      const messages = inner.parseMessages(input, logger);
      seen.push(...messages);
      return messages;
    },
  };
}

export function openHub({ url, token, protocol, transport }, options = {}) {
  const seen = [];
  const access = options.token ?? token;
  let builder = new signalr.HubConnectionBuilder()
    .withUrl(url, {
      transport: signalr.HttpTransportType[transport],
      logger: signalr.NullLogger.instance,
      ...(access ? { accessTokenFactory: () => access } : {}),
      ...options.http,
    })
    .withHubProtocol(watched(protocols[protocol](), seen))
    .configureLogging(signalr.LogLevel.None);
  if (options.reconnect) builder = builder.withAutomaticReconnect(options.reconnect);
  if (options.stateful) builder = builder.withStatefulReconnect({ bufferSize: 100_000 });
  const hub = builder.build();
  // The hub's contract has short timers (HUB.md), so the client must ping more often than by default.
  hub.keepAliveIntervalInMilliseconds = 1000;
  hub.serverTimeoutInMilliseconds = options.serverTimeout ?? 10000;
  hub.seen = seen;
  return hub;
}

export async function negotiate(url, query = '?negotiateVersion=1', method = 'POST') {
  const response = await fetch(`${url}/negotiate${query}`, { method });
  const text = await response.text();
  return { status: response.status, text, body: text.startsWith('{') ? JSON.parse(text) : null };
}

/** A bare WebSocket on the hub: frames in, frames out, and how it ended. With `hello`, after a JSON handshake. */
export async function rawSocket(t, { id, hello } = {}) {
  const url = t.target.url;
  const negotiated = id ? {} : (await negotiate(url)).body;
  const transportId = id ?? negotiated.connectionToken;
  const socket = new WebSocket(`${url.replace(/^http/, 'ws')}?id=${transportId}`);
  const frames = [];
  let closed = null;
  socket.on('message', (data) => frames.push(data.toString()));
  const ended = new Promise((resolve) => {
    socket.on('close', (code) => resolve((closed = { code })));
    socket.on('unexpected-response', (_, response) => resolve((closed = { status: response.statusCode })));
  });
  // An error is always followed by a close; without a listener it would end the process.
  socket.on('error', () => {});
  t.defer(async () => socket.terminate());
  await Promise.race([new Promise((resolve) => socket.on('open', resolve)), ended]);
  const raw = {
    socket,
    connectionId: negotiated.connectionId,
    frames,
    ended,
    isClosed: () => closed !== null,
    send: (text) => socket.send(text),
    /** All hub messages that came so far, JSON only. */
    messages: () => frames.join('').split(RS).slice(0, -1).map((text) => JSON.parse(text)),
  };
  if (hello) {
    raw.send(handshake);
    await t.until(() => frames.length > 0, 'the handshake response');
    t.equal(raw.messages()[0], {}, 'handshake response');
  }
  return raw;
}

// Of the interop servers only, which take tokens signed with it (HUB.md).
const key = 'interop-tests-only-0123456789abcdef';

/** A token for `user`, valid for ten minutes. */
export function tokenFor(user) {
  const now = Math.floor(Date.now() / 1000);
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const body = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ sub: user, nbf: now - 60, iat: now, exp: now + 600 })}`;
  return `${body}.${createHmac('sha256', key).update(body).digest('base64url')}`;
}
