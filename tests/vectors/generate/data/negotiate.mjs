// Negotiate responses: the body a server sent and what a client must make of it.
const ok = (name, body, response) => ({ name, body: typeof body === 'string' ? body : JSON.stringify(body), response });
const bad = (name, body, reason) => ({ name, body: typeof body === 'string' ? body : JSON.stringify(body), reason });

const all = [
  { transport: 'WebSockets', transferFormats: ['Text', 'Binary'] },
  { transport: 'ServerSentEvents', transferFormats: ['Text'] },
  { transport: 'LongPolling', transferFormats: ['Text', 'Binary'] },
];
const id = 'CoNNectionId0123456789';
const token = 'T0ken-_0123456789abcde';
const v1 = { negotiateVersion: 1, connectionId: id, connectionToken: token, availableTransports: all };
const plain = { version: 1, connectionId: id, transportId: token, availableTransports: all, useStatefulReconnect: false };
const v0 = { ...plain, version: 0, transportId: id };

export default [
  ok('v1', v1, plain),
  ok('v1-stateful', { ...v1, useStatefulReconnect: true }, { ...plain, useStatefulReconnect: true }),
  ok('v1-not-stateful', { ...v1, useStatefulReconnect: false }, plain),
  ok('v1-order', { availableTransports: all, connectionToken: token, connectionId: id, negotiateVersion: 1 }, plain),
  ok('v1-token-lifetime', { ...v1, tokenLifetimeSeconds: 3600 }, { ...plain, tokenLifetimeSeconds: 3600 }),
  ok('v1-whitespace', JSON.stringify(v1, null, 2), plain),
  ok('v1-null-options', { ...v1, url: null, accessToken: null, error: null, useStatefulReconnect: null }, plain),
  ok('v2-reads-as-v1', { ...v1, negotiateVersion: 2 }, { ...plain, version: 2 }),
  ok('v0', { connectionId: id, availableTransports: all }, v0),
  ok('v0-explicit', { negotiateVersion: 0, connectionId: id, availableTransports: all }, v0),
  ok('v0-token-ignored', { negotiateVersion: 0, connectionId: id, connectionToken: token, availableTransports: all }, v0),
  ok('unknown-fields', { extra: { a: [1] }, ...v1, another: null }, plain),
  ok('unknown-transport', { ...v1, availableTransports: [{ transport: 'WebTransport', transferFormats: ['Binary'] }, ...all] }, plain),
  ok(
    'unknown-transfer-format',
    { ...v1, availableTransports: [{ transport: 'WebSockets', transferFormats: ['Cbor', 'Text'] }] },
    { ...plain, availableTransports: [{ transport: 'WebSockets', transferFormats: ['Text'] }] },
  ),
  ok(
    'transport-order-kept',
    { ...v1, availableTransports: [...all].reverse() },
    { ...plain, availableTransports: [...all].reverse() },
  ),
  ok('no-transports', { ...v1, availableTransports: [] }, { ...plain, availableTransports: [] }),
  ok('transports-missing', { negotiateVersion: 1, connectionId: id, connectionToken: token }, { ...plain, availableTransports: [] }),
  ok(
    'hubwire',
    { ...v1, hubwire: { version: 1, features: ['dedupe', 'history', 'later'] } },
    { ...plain, hubwire: { version: 1, features: ['dedupe', 'history', 'later'] } },
  ),
  ok('redirect', { url: 'https://other.example/hub?x=1' }, { redirect: { url: 'https://other.example/hub?x=1' } }),
  ok(
    'redirect-with-token',
    { url: 'https://other.example/hub', accessToken: 'a.b.c' },
    { redirect: { url: 'https://other.example/hub', accessToken: 'a.b.c' } },
  ),
  ok(
    'redirect-wins-over-transports',
    { ...v1, url: 'https://other.example/hub', accessToken: 'a.b.c' },
    { redirect: { url: 'https://other.example/hub', accessToken: 'a.b.c' } },
  ),
  ok('error', { error: 'The server is full.' }, { error: 'The server is full.' }),
  ok('error-wins-over-redirect', { error: 'no', url: 'https://other.example/hub' }, { error: 'no' }),
  ok('error-with-version', { ...v1, error: 'no' }, { error: 'no' }),
  bad('legacy', { Url: '/signalr', ConnectionToken: token, ConnectionId: id, ProtocolVersion: '1.4' }, 'ASP.NET SignalR'),
  bad('legacy-with-v1', { ...v1, ProtocolVersion: '2.1' }, 'ASP.NET SignalR'),
  bad('v1-token-missing', { negotiateVersion: 1, connectionId: id, availableTransports: all }, 'connectionToken'),
  bad('v1-id-missing', { negotiateVersion: 1, connectionToken: token, availableTransports: all }, 'connectionId'),
  bad('v0-id-missing', { availableTransports: all }, 'connectionId'),
  bad('empty-object', {}, 'connectionId'),
  bad('id-is-number', { ...v1, connectionId: 5 }, 'connectionId'),
  bad('version-is-string', { ...v1, negotiateVersion: '1' }, 'negotiateVersion'),
  bad('version-is-negative', { ...v1, negotiateVersion: -1 }, 'negotiateVersion'),
  bad('transports-is-object', { ...v1, availableTransports: {} }, 'availableTransports'),
  bad('stateful-is-string', { ...v1, useStatefulReconnect: 'yes' }, 'useStatefulReconnect'),
  bad('url-is-number', { url: 5 }, 'url'),
  bad('not-json', '<html>Bad gateway</html>', 'JSON'),
  bad('nothing', '', 'JSON'),
  bad('cut', '{"negotiateVersion":1,"connectionId":"x', 'JSON'),
  bad('array', '[]', 'object'),
  bad('null', 'null', 'object'),
];
