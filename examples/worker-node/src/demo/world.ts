/** A server that can be killed and comes back where it was, and those who use it. */
import { createHmac, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Program } from "./program.js";

/** The virtual key whose tasks they are. */
export const OWNER = 1;

const part = (value: string | object): string =>
  Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");

export class World {
  /** With the outboxes of the workers and what the server keeps; gone with this process. */
  readonly folder = mkdtempSync(join(tmpdir(), "hubwire-worker-"));
  readonly #binary: string;
  readonly #key = randomBytes(32).toString("hex");
  #server: Program | undefined;
  #address = "127.0.0.1:0";

  private constructor(binary: string) {
    this.#binary = binary;
    process.once("exit", () => rmSync(this.folder, { recursive: true, force: true }));
  }

  /** `binary` is `worker-node-server`. */
  static async start(binary: string): Promise<World> {
    const world = new World(binary);
    await world.startServer();
    return world;
  }

  get url(): string {
    return `http://${this.#address}`;
  }

  /** Again at the same address, with what it knew. */
  async startServer(): Promise<void> {
    const args = ["--with-parent", "--listen", this.#address, "--store", join(this.folder, "server")];
    this.#server = Program.start("the server", this.#binary, args, { HUBWIRE_AUTH__SIGNING_KEY: this.#key });
    const { line } = await this.#server.until("its address", (entry) => "line" in entry);
    const address = /^listening on http:\/\/(\S+)$/.exec(String(line))?.[1];
    if (!address) throw new Error(`The server does not say where it listens: ${String(line)}`);
    this.#address = address;
  }

  async killServer(): Promise<void> {
    await this.#server?.kill();
  }

  /** A token for an hour. */
  token(user: string, role: string): string {
    const claims = { sub: user, role, VirtualKeyId: OWNER, exp: Math.floor(Date.now() / 1_000) + 3_600 };
    const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part(claims)}`;
    return `${signed}.${createHmac("sha256", this.#key).update(signed).digest("base64url")}`;
  }

  /** A worker of that name, which has its outbox from life to life. */
  worker(name: string): Program {
    return this.#node("worker", [], name, "worker", { TASKS_OUTBOX: join(this.folder, `${name}.redb`) });
  }

  publisher(...args: string[]): Program {
    return this.#node("publisher", args, "boss", "admin");
  }

  watcher(...taskIds: string[]): Program {
    return this.#node("watcher", taskIds, "guest", "guest");
  }

  #node(program: string, args: readonly string[], user: string, role: string, env: NodeJS.ProcessEnv = {}): Program {
    const file = fileURLToPath(new URL(`../${program}.js`, import.meta.url));
    const own = { TASKS_URL: this.url, TASKS_TOKEN: this.token(user, role), TASKS_TOKEN_FILE: undefined, ...env };
    return Program.start(program, process.execPath, [file, ...args], own);
  }
}
