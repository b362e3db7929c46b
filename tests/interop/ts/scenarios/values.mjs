// Every kind of value there and back, and calls as such.
const values = {
  string: 'hello',
  'empty-string': '',
  'non-ascii': 'Grüße, Żółć, привет, 日本語',
  emoji: '😀 👩‍👩‍👧 🇹🇷',
  'control-characters': 'a\u0000b\u001ec\n"\\\u2028',
  integer: 42,
  'negative-integer': -2147483649,
  'large-integer': 9007199254740991,
  float: 3.141592653589793,
  true: true,
  false: false,
  array: [1, 'two', [3.5], []],
  nested: { a: { b: [{ c: null }, { d: 'e' }] }, f: {}, g: true },
  '20-kb': 'x'.repeat(20 * 1024),
};

const echo = (name, value, more = {}) => ({
  name: `echo-${name}`,
  async run(t) {
    const hub = await t.connect();
    t.equal(await hub.invoke('Echo', value), value);
  },
  ...more,
});

export default [
  {
    name: 'connect',
    async run(t) {
      const hub = await t.connect();
      t.ok(typeof hub.connectionId === 'string' && hub.connectionId.length > 0, `connectionId is ${hub.connectionId}`);
      t.equal(await hub.invoke('ConnectionId'), hub.connectionId, 'connectionId as the hub sees it');
      const other = await t.connect();
      t.ok(other.connectionId !== hub.connectionId, 'two connections have one id');
    },
  },
  ...Object.entries(values).map(([name, value]) => echo(name, value)),
  echo('null', null, { needs: ['null-results'] }),
  echo('iso-date', new Date(1754000000123).toISOString()),
  echo('date', new Date(1754000000123), { protocols: ['messagepack'] }),
  echo('date-before-1970', new Date(-86400001), { protocols: ['messagepack'] }),
  echo('binary', Uint8Array.from({ length: 1000 }, (_, n) => n % 256), { protocols: ['messagepack'] }),
  echo('binary-empty', new Uint8Array(0), { protocols: ['messagepack'] }),
  {
    name: 'void',
    async run(t) {
      const hub = await t.connect();
      const result = await hub.invoke('Void', 'anything');
      t.equal(result ?? null, null, 'result of a method without one');
    },
  },
  {
    name: 'typed-arguments',
    async run(t) {
      const hub = await t.connect();
      t.equal(await hub.invoke('Add', 19, 23), 42);
      t.equal(await hub.invoke('Add', -5, 3), -2);
    },
  },
  {
    name: 'method-names-ignore-case',
    async run(t) {
      const hub = await t.connect();
      t.equal(await hub.invoke('eCHO', 'x'), 'x');
    },
  },
  {
    name: 'concurrent-200',
    async run(t) {
      const hub = await t.connect();
      const answers = await Promise.all(Array.from({ length: 200 }, (_, n) => hub.invoke('Echo', { n, text: `call ${n}` })));
      answers.forEach((answer, n) => t.equal(answer, { n, text: `call ${n}` }, `answer ${n}`));
    },
  },
  {
    name: 'concurrent-connections',
    async run(t) {
      const hubs = await Promise.all(Array.from({ length: 20 }, () => t.connect()));
      const answers = await Promise.all(hubs.map((hub, n) => hub.invoke('Echo', n)));
      t.equal(answers, hubs.map((_, n) => n), 'answers');
    },
  },
  {
    name: 'send-is-never-answered',
    needs: ['silent-send'],
    async run(t) {
      const hub = await t.connect();
      await hub.send('Void', 'x');
      await hub.send('Echo', 'x');
      await hub.send('Throw', 'x');
      await hub.send('NoSuchMethod');
      await hub.send('Add', 'not a number', 1);
      t.equal(await hub.invoke('Echo', 'last'), 'last');
      const completions = hub.seen.filter(({ type }) => type === 3);
      t.equal(completions.length, 1, 'completions seen');
    },
  },
  {
    name: 'send-runs-the-method',
    async run(t) {
      const hub = await t.connect();
      const calls = t.calls(hub, 'Pushed');
      await hub.send('ToCaller', 'Pushed', 5);
      await calls.reach(1);
      t.equal([...calls], [5]);
    },
  },
];
