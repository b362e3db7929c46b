// Streams down, up, and both ways.
import { signalr } from '../lib/connect.mjs';

const numbers = (n) => Array.from({ length: n }, (_, i) => i);

/** A subject that sends `items` once the call is out, then completes or fails. */
function upload(items, error) {
  const subject = new signalr.Subject();
  const run = () => {
    for (const item of items) subject.next(item);
    if (error) subject.error(new Error(error));
    else subject.complete();
  };
  return { subject, run };
}

const sent = (name, items, call, want, more = {}) => ({
  name,
  async run(t) {
    const hub = await t.connect();
    const { subject, run } = upload(items);
    const answer = call(hub, subject);
    run();
    t.equal(await answer, want);
  },
  ...more,
});

export default [
  {
    name: 'stream-complete',
    async run(t) {
      const hub = await t.connect();
      t.equal(await t.drain(hub.stream('Count', 5, 0)), { items: numbers(5), error: null });
    },
  },
  {
    name: 'stream-empty',
    async run(t) {
      const hub = await t.connect();
      t.equal(await t.drain(hub.stream('Count', 0, 0)), { items: [], error: null });
    },
  },
  {
    name: 'stream-1000',
    timeout: 30000,
    async run(t) {
      const hub = await t.connect();
      t.equal(await t.drain(hub.stream('Count', 1000, 0)), { items: numbers(1000), error: null });
    },
  },
  {
    name: 'stream-three-at-once',
    async run(t) {
      const hub = await t.connect();
      const streams = await Promise.all([3, 6, 9].map((n) => t.drain(hub.stream('Count', n, 5))));
      t.equal(streams.map(({ items }) => items), [3, 6, 9].map(numbers));
    },
  },
  {
    name: 'stream-and-invoke',
    async run(t) {
      const hub = await t.connect();
      const stream = t.drain(hub.stream('Count', 20, 20));
      t.equal(await hub.invoke('Echo', 'meanwhile'), 'meanwhile');
      t.equal((await stream).items, numbers(20));
    },
  },
  {
    name: 'stream-fails-midway',
    needs: ['stream-errors'],
    async run(t) {
      const hub = await t.connect();
      const want = 'An error occurred on the server while streaming results. HubException: no more';
      t.equal(await t.drain(hub.stream('CountThenFail', 3, 'no more')), { items: [0, 1, 2], error: want });
    },
  },
  {
    name: 'stream-cancel',
    async run(t) {
      const hub = await t.connect();
      let items = 0;
      const subscription = hub.stream('Forever', t.tag, 10).subscribe({ next: () => items++, complete() {}, error() {} });
      await t.until(() => items >= 3, 'three items');
      t.equal(await hub.invoke('WasCancelled', t.tag), false, 'cancelled before the cancel');
      subscription.dispose();
      await t.until(() => hub.invoke('WasCancelled', t.tag), 'the server sees the cancel');
      const after = items;
      t.equal(await hub.invoke('Echo', 'alive'), 'alive');
      t.equal(items, after, 'items after the cancel');
    },
  },
  sent('upload', [1, 2, 3, 36], (hub, subject) => hub.invoke('Sum', subject), 42),
  sent('upload-empty', [], (hub, subject) => hub.invoke('Sum', subject), 0),
  sent('upload-with-argument', ['a', 'ü', '😀'], (hub, subject) => hub.invoke('Label', 'list', subject), 'list:a,ü,😀'),
  sent('upload-500', numbers(500), (hub, subject) => hub.invoke('Sum', subject), (499 * 500) / 2, { timeout: 30000 }),
  {
    name: 'upload-fails',
    needs: ['upload-errors'],
    async run(t) {
      const hub = await t.connect();
      const { subject, run } = upload([1, 2], 'disk on fire');
      const answer = hub.invoke('Sum', subject);
      run();
      await t.rejects(answer, "An unexpected error occurred invoking 'Sum' on the server. HubException: disk on fire");
      t.equal(await hub.invoke('Echo', 'alive'), 'alive');
    },
  },
  {
    name: 'upload-without-answer',
    async run(t) {
      const hub = await t.connect();
      const calls = t.calls(hub, 'Summed');
      const { subject, run } = upload([40, 2]);
      await hub.send('SumToCaller', 'Summed', subject);
      run();
      await calls.reach(1);
      t.equal([...calls], [42]);
    },
  },
  {
    name: 'both-ways',
    async run(t) {
      const hub = await t.connect();
      const { subject, run } = upload([1, 2, 3]);
      const stream = t.drain(hub.stream('Double', subject));
      run();
      t.equal(await stream, { items: [2, 4, 6], error: null });
    },
  },
];
