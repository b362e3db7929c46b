// In a project that has installed the package: everything there is, by `require` and by `import`, and one real connection.
// node app.cjs HUB-URL; its last line is what the hub has echoed.
const assert = require("node:assert/strict");
const required = require("@hubwire/node");
const { MessagePackHubProtocol } = require("@hubwire/node/msgpack");
const { TaskHubClient } = require("@hubwire/node/hubs");

const VALUE = { text: "héllo", list: [1, null] };

async function main() {
  const [imported, msgpack, hubs] = await Promise.all(["", "/msgpack", "/hubs"].map((entry) => import(`@hubwire/node${entry}`)));
  for (const name of Object.keys(required)) assert.equal(imported[name], required[name], `${name} is one in both`);
  assert.deepEqual(Object.keys(imported).filter((name) => name !== "default").sort(), Object.keys(required).sort());
  assert.equal(msgpack.MessagePackHubProtocol, MessagePackHubProtocol);
  assert.equal(hubs.TaskHubClient, TaskHubClient);
  assert.throws(() => require("@hubwire/node/dist/all.cjs"), { code: "ERR_PACKAGE_PATH_NOT_EXPORTED" });
  const echoed = [];
  for (const protocol of [new required.JsonHubProtocol(), new MessagePackHubProtocol()]) {
    const builder = new imported.HubConnectionBuilder().withUrl(process.argv[2]).withHubProtocol(protocol);
    const connection = builder.configureLogging(required.LogLevel.None).build();
    await connection.start();
    echoed.push(await connection.invoke("Echo", VALUE));
    await connection.stop();
  }
  assert.deepEqual(echoed, [VALUE, VALUE]);
  console.log(JSON.stringify(echoed[0]));
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
