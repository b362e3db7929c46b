// The server calls clients: who gets it, and in which order.
import { sleep } from '../lib/harness.mjs';
import { tokenFor } from '../lib/connect.mjs';

/** Three connections, the calls each of them got, and a look at them after everything has settled. */
async function three(t, name, options = []) {
  const hubs = await Promise.all([0, 1, 2].map((n) => t.connect(options[n])));
  const calls = hubs.map((hub) => t.calls(hub, name));
  return {
    hubs,
    /** Waits until `want[n]` is what connection n got, and that nothing more comes. */
    async got(want) {
      await Promise.all(want.map((expected, n) => calls[n].reach(expected.length)));
      // A message that should not be there would arrive with the answers to these.
      await Promise.all(hubs.map((hub) => hub.invoke('Echo', 0)));
      await sleep(100);
      t.equal(calls.map((list) => [...list]), want, 'calls by connection');
    },
  };
}

const toSome = (name, send, want, more = {}) => ({
  name: `push-${name}`,
  async run(t) {
    const event = `E-${t.tag}`;
    const { hubs, got } = await three(t, event, more.options?.(t));
    await send(hubs, event, t);
    await got(want);
  },
  ...more,
});

export default [
  toSome('caller', ([a], event) => a.invoke('ToCaller', event, { n: 1 }), [[{ n: 1 }], [], []]),
  toSome('others', ([a], event) => a.invoke('ToOthers', event, 'x'), [[], ['x'], ['x']]),
  toSome('all', ([a], event) => a.invoke('ToAll', event, [1, 'ü']), [[[1, 'ü']], [[1, 'ü']], [[1, 'ü']]]),
  toSome('connection', ([a, b], event) => a.invoke('ToConnection', b.connectionId, event, 'x'), [[], ['x'], []]),
  toSome('unknown-connection', ([a], event) => a.invoke('ToConnection', 'nobody', event, 'x'), [[], [], []]),
  toSome('all-except', ([a, b], event) => a.invoke('ToAllExcept', [b.connectionId], event, 'x'), [['x'], [], ['x']]),
  toSome(
    'group',
    async ([a, b, c], event, t) => {
      await b.invoke('Join', t.tag);
      await c.invoke('Join', t.tag);
      await a.invoke('ToGroup', t.tag, event, 1);
    },
    [[], [1], [1]],
  ),
  toSome(
    'group-names-are-case-sensitive',
    async ([a], event, t) => {
      await a.invoke('Join', t.tag);
      await a.invoke('ToGroup', t.tag.toUpperCase(), event, 1);
    },
    [[], [], []],
  ),
  toSome(
    'leave-group',
    async ([a, b, c], event, t) => {
      await b.invoke('Join', t.tag);
      await c.invoke('Join', t.tag);
      await a.invoke('ToGroup', t.tag, event, 1);
      await b.invoke('Leave', t.tag);
      await a.invoke('ToGroup', t.tag, event, 2);
    },
    [[], [1], [1, 2]],
  ),
  toSome(
    'others-in-group',
    async ([a, b], event, t) => {
      await a.invoke('Join', t.tag);
      await b.invoke('Join', t.tag);
      await a.invoke('ToOthersInGroup', t.tag, event, 1);
    },
    [[], [1], []],
  ),
  toSome(
    'group-except',
    async ([a, b, c], event, t) => {
      await Promise.all([a, b, c].map((hub) => hub.invoke('Join', t.tag)));
      await a.invoke('ToGroupExcept', t.tag, [c.connectionId], event, 1);
    },
    [[1], [1], []],
  ),
  toSome('user', ([a], event, t) => a.invoke('ToUser', `alice-${t.tag}`, event, 1), [[1], [1], []], {
    needs: ['users'],
    options: (t) => ['alice', 'alice', 'bob'].map((name) => ({ token: tokenFor(`${name}-${t.tag}`) })),
  }),
  {
    name: 'user-id',
    needs: ['users'],
    async run(t) {
      const hub = await t.connect({ token: tokenFor('Grüße') });
      t.equal(await hub.invoke('UserId'), 'Grüße');
      const nobody = await t.connect();
      t.equal(await nobody.invoke('UserId'), null, 'user without a token');
    },
  },
  {
    name: 'push-several-arguments',
    async run(t) {
      const hub = await t.connect();
      const calls = t.calls(hub, 'Three');
      await hub.invoke('ToCallerThree', 'Three', 'a', 2, { three: null });
      await calls.reach(1);
      t.equal(calls[0], ['a', 2, { three: null }]);
    },
  },
  {
    name: 'push-1000-in-order',
    timeout: 30000,
    async run(t) {
      const hub = await t.connect();
      const calls = t.calls(hub, 'Number');
      t.equal(await hub.invoke('PushMany', 'Number', 1000), 1000);
      await calls.reach(1000);
      t.equal([...calls], Array.from({ length: 1000 }, (_, n) => n), 'numbers');
    },
  },
  {
    name: 'push-handler-names-ignore-case',
    async run(t) {
      const hub = await t.connect();
      const calls = t.calls(hub, 'mixedCase');
      await hub.invoke('ToCaller', 'MixedCASE', 1);
      await calls.reach(1);
    },
  },
  {
    name: 'push-without-handler',
    async run(t) {
      const hub = await t.connect();
      await hub.invoke('ToCaller', 'NobodyListens', 1);
      t.equal(await hub.invoke('Echo', 'alive'), 'alive');
    },
  },
];
