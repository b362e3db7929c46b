// The package as it is imported: by `import` and by `require`, in threads, and with its types.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as imported from "@hubwire/node";
import * as importedHubs from "@hubwire/node/hubs";
import * as importedMsgpack from "@hubwire/node/msgpack";
import * as official from "@microsoft/signalr";
import { assert, describe, harness, test } from "../lib/harness.mjs";
import { run } from "../lib/processes.mjs";

const require = createRequire(import.meta.url);
const folder = fileURLToPath(new URL("../..", import.meta.url));

describe("import and require", () => {
  for (const [name, module] of Object.entries({ "@hubwire/node": imported, "@hubwire/node/msgpack": importedMsgpack, "@hubwire/node/hubs": importedHubs })) {
    test(`of ${name} have the same values under the same names`, () => {
      const required = require(name);
      assert.deepEqual(Object.keys(required).sort(), Object.keys(module).sort());
      for (const key of Object.keys(required)) assert.equal(required[key], module[key], key);
    });
  }

  test("make the same errors: instanceof holds across them", async () => {
    const { HubConnectionBuilder } = require("@hubwire/node");
    const connection = new HubConnectionBuilder().withUrl(harness.server.url).configureLogging("none").build();
    const error = await assert.rejects(connection.invoke("Echo", 1), /./);
    assert.ok(error instanceof imported.HubError && error instanceof Error);
    assert.ok(connection instanceof imported.HubConnection);
  });

  test("know a protocol of the other", async ({ defer }) => {
    const { MessagePackHubProtocol } = require("@hubwire/node/msgpack");
    const connection = new imported.HubConnectionBuilder()
      .withUrl(harness.server.url)
      .withHubProtocol(new MessagePackHubProtocol())
      .configureLogging("none")
      .build();
    defer(() => connection.stop());
    await connection.start();
    assert.deepEqual(await connection.invoke("Echo", new Uint8Array([1, 2])), new Uint8Array([1, 2]));
  });

  test("everything that the official package exports is there", () => {
    const missing = Object.keys(official).filter((name) => !["default", "__esModule", "module.exports"].includes(name) && !(name in imported));
    assert.deepEqual(missing, []);
  });

  test("a protocol of the official package is refused by name", () => {
    const builder = new imported.HubConnectionBuilder().withUrl(harness.server.url).withHubProtocol(new official.JsonHubProtocol());
    const error = assert.throws(() => builder.build(), /'json' is not one of this package/);
    assert.equal(error.kind, "Misuse");
  });

  test("the native module is loaded with the first connection, not before", async () => {
    const end = await run(({ HubConnectionBuilder }, url) => {
      const isLoaded = () => process.report.getReport().sharedObjects.some((path) => path.endsWith(".node"));
      console.log(isLoaded());
      new HubConnectionBuilder().withUrl(url).build();
      console.log(isLoaded());
    }, harness.server.url);
    assert.deepEqual(end, { code: 0, signal: null, lines: ["false", "true"], errors: "" });
  });
});

describe("package.json", () => {
  const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));

  test("every file that it names is there", () => {
    const named = (entry) => (typeof entry === "string" ? [entry] : Object.values(entry).flatMap(named));
    const files = [manifest.main, manifest.types, ...named(manifest.exports)];
    assert.deepEqual(files.filter((file) => !existsSync(join(folder, file))), []);
  });

  test("the package depends on nothing", () => assert.deepEqual(manifest.dependencies ?? {}, {}));
});

describe("types", () => {
  test("an application in strict TypeScript compiles, by import and by require, and what is wrong is refused", () => {
    const tsc = join(folder, "node_modules/typescript/bin/tsc");
    const { status, stdout, stderr } = spawnSync(process.execPath, [tsc, "-p", join(folder, "test/types")], { encoding: "utf8" });
    assert.equal(status, 0, `${stdout}${stderr}`);
  }, { timeout: 60_000 });
});
