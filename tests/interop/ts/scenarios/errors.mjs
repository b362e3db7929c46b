// What a failing call says. The texts are those of ASP.NET Core with detailed errors off.
const exact = (name, text, call) => ({
  name: `error-${name}`,
  needs: ['error-texts'],
  async run(t) {
    const hub = await t.connect();
    await t.rejects(call(hub, t), text);
    t.equal(await hub.invoke('Echo', 'alive'), 'alive', 'the connection after the error');
  },
});

/** The same call with any text: what every peer must do. */
const fails = (name, call, more = {}) => ({
  name: `fails-${name}`,
  async run(t) {
    const hub = await t.connect();
    await t.rejects(call(hub, t));
    t.equal(await hub.invoke('Echo', 'alive'), 'alive', 'the connection after the error');
  },
  ...more,
});

const asStream = (hub, t, ...call) =>
  t.drain(hub.stream(...call)).then(({ error }) => {
    if (error !== null) throw new Error(error);
  });

const calls = {
  hub: (hub) => hub.invoke('ThrowHub', 'my "own" text'),
  plain: (hub) => hub.invoke('Throw', 'a secret'),
  unknown: (hub) => hub.invoke('NoSuchMethod', 1),
  'too-few-arguments': (hub) => hub.invoke('Add', 1),
  'too-many-arguments': (hub) => hub.invoke('Add', 1, 2, 3),
  'wrong-type': (hub) => hub.invoke('Add', 'one', 2),
  'stream-as-invocation': (hub) => hub.invoke('Count', 3, 0),
  'invocation-as-stream': (hub, t) => asStream(hub, t, 'Add', 1, 2),
  'unknown-stream': (hub, t) => asStream(hub, t, 'NoSuchStream'),
};

export default [
  fails('hub-error', calls.hub),
  fails('plain-error', calls.plain),
  fails('unknown-method', calls.unknown),
  fails('too-few-arguments', calls['too-few-arguments']),
  fails('too-many-arguments', calls['too-many-arguments']),
  fails('wrong-type', calls['wrong-type']),
  fails('stream-as-invocation', calls['stream-as-invocation'], { needs: ['strict-streams'] }),
  fails('invocation-as-stream', calls['invocation-as-stream'], { needs: ['strict-streams'] }),
  exact('hub-error', `An unexpected error occurred invoking 'ThrowHub' on the server. HubException: my "own" text`, calls.hub),
  exact('plain-error', "An unexpected error occurred invoking 'Throw' on the server.", calls.plain),
  exact('unknown-method', "Unknown hub method 'NoSuchMethod'", calls.unknown),
  exact('unknown-method-case', "Unknown hub method 'noSuchMETHOD'", (hub) => hub.invoke('noSuchMETHOD')),
  exact('unknown-stream', "Unknown hub method 'NoSuchStream'", calls['unknown-stream']),
  exact('too-few-arguments', "Failed to invoke 'Add' due to an error on the server.", calls['too-few-arguments']),
  exact('too-many-arguments', "Failed to invoke 'Add' due to an error on the server.", calls['too-many-arguments']),
  exact('wrong-type', "Failed to invoke 'Add' due to an error on the server.", calls['wrong-type']),
  exact(
    'stream-as-invocation',
    "The client attempted to invoke the streaming 'Count' method with a non-streaming invocation.",
    calls['stream-as-invocation'],
  ),
  exact(
    'invocation-as-stream',
    "The client attempted to invoke the non-streaming 'Add' method with a streaming invocation.",
    calls['invocation-as-stream'],
  ),
];
