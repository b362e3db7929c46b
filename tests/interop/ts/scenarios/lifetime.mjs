// Keep-alive, stopping, and being closed by the server.
import { sleep } from '../lib/harness.mjs';
import { rawSocket, signalr } from '../lib/connect.mjs';

const states = signalr.HubConnectionState;

/** How a connection ended, as the second connection learns it from the hub. */
async function disconnected(t, witness, id) {
  let seen;
  await t.until(async () => (seen = await witness.invoke('Disconnected', id)).seen, 'the hub sees the disconnect', 8000);
  return seen;
}

/** Resolves with `[error]` when the connection is closed for good. */
const closing = (hub) => new Promise((resolve) => hub.onclose((error) => resolve([error?.message ?? null])));

export default [
  {
    name: 'keep-alive',
    needsFor: { messagepack: ['messagepack-pings'] },
    timeout: 20000,
    async run(t) {
      // Longer than the server waits for a client (5 s), and than this client waits for the server (3 s).
      const hub = await t.connect({ serverTimeout: 3000 });
      let closed = false;
      hub.onclose(() => (closed = true));
      await sleep(7000);
      t.ok(!closed, 'the connection was closed while idle');
      // Polling shows by itself that the server is there.
      t.equal(hub.seen.some(({ type }) => type === 6), t.target.transport !== 'LongPolling', 'pings came from the server');
      t.equal(await hub.invoke('Echo', 'alive'), 'alive');
    },
  },
  {
    name: 'stop',
    async run(t) {
      const [hub, witness] = await Promise.all([t.connect(), t.connect()]);
      const closed = closing(hub);
      const id = hub.connectionId;
      t.equal(await witness.invoke('Disconnected', id), { error: null, seen: false }, 'before the stop');
      await hub.stop();
      t.equal(await closed, [null], 'error of onclose');
      t.equal(hub.state, states.Disconnected);
      t.equal(await disconnected(t, witness, id), { error: null, seen: true }, 'what the hub saw');
    },
  },
  {
    name: 'lost-connection-is-seen',
    async run(t) {
      const [raw, witness] = await Promise.all([rawSocket(t, { hello: true }), t.connect()]);
      raw.socket.terminate();
      t.equal((await disconnected(t, witness, raw.connectionId)).seen, true);
    },
    protocols: ['json'],
    transports: ['WebSockets'],
  },
  {
    name: 'start-again',
    async run(t) {
      const hub = await t.connect();
      const first = hub.connectionId;
      await hub.stop();
      await hub.start();
      t.ok(hub.connectionId !== first, 'the second start has the first connection id');
      t.equal(await hub.invoke('Echo', 1), 1);
    },
  },
  {
    name: 'server-close',
    needsFor: { messagepack: ['messagepack-close'] },
    async run(t) {
      // A reconnect policy is there, and must not be used.
      const hub = await t.connect({ reconnect: [0, 100] });
      let reconnecting = false;
      hub.onreconnecting(() => (reconnecting = true));
      const closed = closing(hub);
      await hub.send('CloseMe', false, '');
      t.equal(await closed, [null], 'error of onclose');
      t.equal(reconnecting, false, 'reconnecting');
    },
  },
  {
    name: 'server-close-with-error',
    needsFor: { messagepack: ['messagepack-close'] },
    async run(t) {
      const hub = await t.connect();
      const closed = closing(hub);
      await hub.send('CloseMe', false, 'maintenance');
      t.equal(await closed, ['Server returned an error on close: maintenance']);
    },
  },
  {
    name: 'server-close-allow-reconnect',
    needsFor: { messagepack: ['messagepack-close'] },
    async run(t) {
      const hub = await t.connect({ reconnect: [0, 100, 500] });
      const first = hub.connectionId;
      const back = new Promise((resolve) => hub.onreconnected(resolve));
      await hub.send('CloseMe', true, '');
      const second = await back;
      t.ok(second && second !== first, `the connection id after the reconnect is ${second}`);
      t.equal(await hub.invoke('Echo', 1), 1);
    },
  },
  {
    name: 'groups-end-with-the-connection',
    async run(t) {
      const [hub, witness] = await Promise.all([t.connect(), t.connect()]);
      const calls = t.calls(hub, 'Grouped');
      await hub.invoke('Join', t.tag);
      await witness.invoke('ToGroup', t.tag, 'Grouped', 1);
      await calls.reach(1);
      await hub.stop();
      await hub.start();
      await witness.invoke('ToGroup', t.tag, 'Grouped', 2);
      await hub.invoke('Echo', 0);
      await sleep(100);
      t.equal([...calls], [1]);
    },
  },
  {
    name: 'too-large-a-message',
    async run(t) {
      const [hub, other] = await Promise.all([t.connect(), t.connect()]);
      const closed = closing(hub);
      await t.rejects(hub.invoke('Echo', 'x'.repeat(40 * 1024)));
      await closed;
      t.equal(await other.invoke('Echo', 'alive'), 'alive', 'another connection');
    },
  },
  {
    name: 'too-large-a-message-text',
    needs: ['error-texts'],
    async run(t) {
      const hub = await t.connect();
      const closed = closing(hub);
      await t.rejects(hub.invoke('Echo', 'x'.repeat(40 * 1024)));
      t.equal(await closed, ['Server returned an error on close: Connection closed with an error.']);
    },
  },
];
