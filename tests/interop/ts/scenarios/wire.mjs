// What the official client never does: bad handshakes, bad frames, silence, and negotiate as plain HTTP.
import { handshake as hello, negotiate, rawSocket, RS } from '../lib/connect.mjs';

const once = { protocols: ['json'], transports: ['WebSockets'] };

/** The server must answer a bad first message with this error, close, and keep serving others. */
const refused = (name, text, error, more = {}) => ({
  name: `handshake-${name}`,
  ...once,
  needs: ['handshake-texts'],
  async run(t) {
    const raw = await rawSocket(t);
    raw.send(text);
    await t.until(() => raw.isClosed(), 'the server closes');
    t.equal(raw.messages(), [{ error }]);
    const hub = await t.connect();
    t.equal(await hub.invoke('Echo', 1), 1);
  },
  ...more,
});

const ready = (t) => rawSocket(t, { hello: true });

const unexpected = 'An unexpected error occurred during connection handshake.';

export default [
  refused('unknown-protocol', `{"protocol":"xml","version":1}${RS}`, "The protocol 'xml' is not supported."),
  refused('version-3', `{"protocol":"json","version":3}${RS}`, "The server does not support version 3 of the 'json' protocol."),
  refused('garbage', `GET / HTTP/1.1${RS}`, unexpected),
  refused('missing-version', `{"protocol":"json"}${RS}`, unexpected),
  refused('hub-message-instead', `{"type":6}${RS}`, unexpected),
  {
    name: 'handshake-never-comes',
    ...once,
    needs: ['handshake-texts'],
    async run(t) {
      const raw = await rawSocket(t);
      // The hub's contract gives the client two seconds.
      await t.until(() => raw.isClosed(), 'the server closes', 6000);
      t.equal(raw.messages(), [{ error: 'Handshake was canceled.' }]);
    },
  },
  {
    name: 'handshake-with-messages-behind-it',
    ...once,
    needs: ['messages-behind-handshake'],
    async run(t) {
      const raw = await rawSocket(t);
      raw.send(`${hello}{"type":1,"invocationId":"a","target":"Echo","arguments":[7]}${RS}`);
      await t.until(() => raw.messages().length >= 2, 'the completion');
      t.equal(raw.messages().find(({ type }) => type === 3), { type: 3, invocationId: 'a', result: 7 });
    },
  },
  {
    name: 'messages-split-over-frames',
    ...once,
    async run(t) {
      const raw = await ready(t);
      for (const part of ['{"type":1,"invocationId":"a","tar', 'get":"Echo","arguments":["x"]}', RS]) raw.send(part);
      await t.until(() => raw.messages().some(({ type }) => type === 3), 'the completion');
      t.equal(raw.messages().find(({ type }) => type === 3), { type: 3, invocationId: 'a', result: 'x' });
    },
  },
  {
    name: 'text-in-binary-frames',
    ...once,
    async run(t) {
      const raw = await rawSocket(t);
      raw.send(Buffer.from(hello));
      await t.until(() => raw.frames.length > 0, 'the handshake response');
      raw.send(Buffer.from(`{"type":1,"invocationId":"a","target":"Echo","arguments":["x"]}${RS}`));
      await t.until(() => raw.messages().some(({ type }) => type === 3), 'the completion');
    },
  },
  {
    name: 'void-result-is-null',
    ...once,
    needs: ['null-results'],
    async run(t) {
      const raw = await ready(t);
      raw.send(`{"type":1,"invocationId":"a","target":"Void","arguments":["x"]}${RS}`);
      await t.until(() => raw.messages().some(({ type }) => type === 3), 'the completion');
      t.equal(raw.messages().find(({ type }) => type === 3), { type: 3, invocationId: 'a', result: null });
    },
  },
  {
    name: 'malformed-message-ends-the-connection',
    ...once,
    async run(t) {
      const [raw, hub] = await Promise.all([ready(t), t.connect()]);
      raw.send(`{"type":1,"arguments":[]${RS}`);
      await t.until(() => raw.isClosed(), 'the server closes');
      t.equal(await hub.invoke('Echo', 1), 1, 'another connection');
    },
  },
  {
    name: 'unknown-message-type-is-ignored',
    ...once,
    needs: ['unknown-types'],
    async run(t) {
      const raw = await ready(t);
      raw.send(`{"type":99,"x":1}${RS}{"type":1,"invocationId":"a","target":"Echo","arguments":[1]}${RS}`);
      await t.until(() => raw.messages().some(({ type }) => type === 3), 'the completion');
      t.ok(!raw.isClosed(), 'the connection was closed');
    },
  },
  {
    name: 'silent-client-is-dropped',
    ...once,
    timeout: 20000,
    async run(t) {
      const raw = await ready(t);
      const since = Date.now();
      await t.until(() => raw.isClosed(), 'the server closes', 12000);
      t.ok(Date.now() - since > 3000, `closed after ${Date.now() - since} ms already`);
    },
  },
  {
    name: 'negotiate-v1',
    ...once,
    async run(t) {
      const { status, body } = await negotiate(t.target.url);
      t.equal(status, 200, 'status');
      t.equal(body.negotiateVersion, 1, 'negotiateVersion');
      t.ok(body.connectionId && body.connectionToken && body.connectionId !== body.connectionToken, 'id and token');
      const first = body.availableTransports[0];
      t.equal([first.transport, [...first.transferFormats].sort()], ['WebSockets', ['Binary', 'Text']]);
    },
  },
  {
    name: 'negotiate-v0',
    ...once,
    async run(t) {
      const { body } = await negotiate(t.target.url, '');
      t.equal([body.negotiateVersion ?? 0, body.connectionToken], [0, undefined]);
      const raw = await rawSocket(t, { id: body.connectionId });
      raw.send(hello);
      await t.until(() => raw.frames.length > 0, 'the handshake response');
      t.equal(raw.messages()[0], {});
    },
  },
  {
    name: 'negotiate-version-not-a-number',
    ...once,
    needs: ['negotiate-strict'],
    async run(t) {
      const { status, body } = await negotiate(t.target.url, '?negotiateVersion=one');
      t.equal([status, body.error], [200, 'The client requested a non-integer protocol version.']);
    },
  },
  {
    name: 'negotiate-by-get',
    ...once,
    needs: ['negotiate-strict'],
    async run(t) {
      t.equal((await negotiate(t.target.url, '?negotiateVersion=1', 'GET')).status, 405);
    },
  },
  {
    name: 'unknown-connection-token',
    ...once,
    needs: ['negotiate-strict'],
    async run(t) {
      const raw = await rawSocket(t, { id: 'nobody' });
      t.equal(await raw.ended, { status: 404 });
    },
  },
];
