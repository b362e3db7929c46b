// The server asks a client and waits for its answer.
const asked = (name, prepare, call, want, more = {}) => ({
  name: `client-result-${name}`,
  needs: ['client-results'],
  async run(t) {
    const hub = await t.connect();
    prepare(hub, t);
    t.equal(await call(hub, t), want);
    t.equal(await hub.invoke('Echo', 'alive'), 'alive', 'the connection afterwards');
  },
  ...more,
});

const ask = (value) => (hub) => hub.invoke('AskCaller', 'Question', value);

export default [
  asked('value', (hub) => hub.on('Question', (n) => n * 2), ask(21), { ok: true, value: 42 }),
  asked('object', (hub) => hub.on('Question', (value) => ({ got: value })), ask('ü😀'), { ok: true, value: { got: 'ü😀' } }),
  asked('null', (hub) => hub.on('Question', () => null), ask(1), { ok: true, value: null }),
  asked('async', (hub) => hub.on('Question', async (n) => (await hub.invoke('Echo', n)) + 1), ask(41), { ok: true, value: 42 }),
  asked(
    'error',
    (hub) =>
      hub.on('Question', () => {
        throw new Error('from callback');
      }),
    ask(1),
    { ok: false, error: 'Error: from callback' },
  ),
  asked('no-handler', () => {}, ask(1), { ok: false, error: "Client didn't provide a result." }),
  asked('unknown-connection', () => {}, (hub) => hub.invoke('AskConnection', 'nobody', 'Question', 1), {
    ok: false,
    error: "Connection 'nobody' does not exist.",
  }),
  {
    name: 'client-result-other-connection',
    needs: ['client-results'],
    async run(t) {
      const [asker, answerer] = await Promise.all([t.connect(), t.connect()]);
      answerer.on('Question', (n) => n + 1);
      t.equal(await asker.invoke('AskConnection', answerer.connectionId, 'Question', 41), { ok: true, value: 42 });
    },
  },
  {
    name: 'client-result-disconnected',
    needs: ['client-results'],
    async run(t) {
      const [asker, answerer] = await Promise.all([t.connect(), t.connect()]);
      const id = answerer.connectionId;
      answerer.on('Question', () => void answerer.stop().catch(() => {}) ?? new Promise(() => {}));
      t.equal(await asker.invoke('AskConnection', id, 'Question', 1), { ok: false, error: `Connection '${id}' disconnected.` });
    },
  },
];
