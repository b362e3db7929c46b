// Stateful reconnect: the socket is reset again and again, and nothing may be lost, repeated or out of order.
import { openHub } from '../lib/connect.mjs';
import { startProxy } from '../lib/fault-proxy.mjs';

const numbers = (n) => Array.from({ length: n }, (_, i) => i);

async function survives(t, cuts) {
  const proxy = await startProxy(t, t.target.faultProxy, t.target.url);
  const hub = openHub({ ...t.target, url: proxy.url }, { stateful: true });
  t.defer(() => hub.stop());
  const pushed = [];
  const event = `Pushed-${t.tag}`;
  hub.on(event, (number) => pushed.push(number));
  await hub.start();
  const id = hub.connectionId;
  let closed;
  hub.onclose((error) => (closed = error ?? 'closed'));
  let noted = 0;
  let asked = 0;
  for (let cut = 0; cut < cuts; cut++) {
    const work = [];
    let before;
    for (let i = 0; i < 5; i++) {
      work.push(hub.send('Note', t.tag, noted++));
      work.push(hub.send('PushFrom', event, asked, 3));
      asked += 3;
      work.push(hub.invoke('Add', cut, i));
      if (i === cut % 5) before = (await proxy.command({ reset: true })).accepted;
    }
    await Promise.all(work);
    // All answers may have come ahead of the reset. The client tries to resume once, so the next cut must not hit that.
    await t.until(async () => (await proxy.command({ status: true })).accepted > before, 'the next connection');
    t.equal(await hub.invoke('Add', cut, 1), cut + 1, 'the connection after the cut');
    t.equal(closed, undefined, `closed after ${cut} cuts`);
  }
  await t.until(() => pushed.length >= asked, 'all pushes');
  const received = await hub.invoke('Noted', t.tag);
  t.equal(hub.connectionId, id, 'connection id');
  t.equal(received, numbers(noted), 'client to server');
  t.equal(pushed, numbers(asked), 'server to client');
  const { accepted } = await proxy.command({ status: true });
  t.ok(accepted > cuts / 2, `only ${accepted} connections for ${cuts} cuts: the cuts did not hit`);
  t.note(`${cuts} cuts on ${accepted} connections: ${noted} sent, ${received.length} received; `
    + `${asked} pushed, ${pushed.length} received; none lost, repeated or out of order`);
}

const websockets = { transports: ['WebSockets'], needs: ['stateful'], faultProxy: true };

export default [
  { name: 'stateful-one-cut', run: (t) => survives(t, 1), ...websockets },
  { name: 'stateful-100-cuts', timeout: 60000, run: (t) => survives(t, 100), ...websockets },
];
