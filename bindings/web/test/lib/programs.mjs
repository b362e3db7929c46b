// The server and the fault proxy, as child processes that never outlive this one: both end when their input does.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createHmac } from "node:crypto";
import { createInterface } from "node:readline";
import { within } from "./assert.mjs";

const HUB = "/hubs/interop";
/** Of the interop server, for tests only. */
const KEY = "interop-tests-only-0123456789abcdef";

async function start(program, args) {
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"] });
  const gone = once(child, "exit");
  // Whoever writes to a program that is gone learns of it from the answer that does not come.
  child.stdin.on("error", () => {});
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const first = within(`${program} to say where it listens`, Promise.race([lines.next(), gone]), 20_000);
  const line = (await first).value ?? "it ended";
  const url = /^listening on (http:\/\/\S+)$/.exec(line)?.[1];
  if (!url) throw new Error(`${program} does not say where it listens: ${line}`);
  return { child, lines, gone, url };
}

async function end({ child, gone }, signal) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  if (signal) child.kill(signal);
  else child.stdin.end();
  await within("the end of a program", gone).catch(() => child.kill("SIGKILL"));
}

/** The interop server; started again it listens where it did before. */
export class Server {
  #program;
  #origin;
  #running;

  static async start(program, origin) {
    const server = new Server();
    server.#program = program;
    server.#origin = origin;
    server.#running = await start(program, ["--origin", origin]);
    server.host = new URL(server.#running.url).host;
    server.url = `${server.#running.url}${HUB}`;
    return server;
  }

  /** At once, without a goodbye. */
  async kill() {
    await end(this.#running, "SIGKILL");
  }

  /** As an operator would: it says goodbye to its clients. */
  async stop() {
    await end(this.#running);
  }

  /** After `kill` or `stop`. */
  async restart() {
    await this.kill();
    this.#running = await start(this.#program, ["--origin", this.#origin, "--listen", this.host]);
  }
}

/** The fault proxy in front of a server; `tests/README.md` has its commands. */
export class Proxy {
  #running;

  static async start(program, host) {
    const proxy = new Proxy();
    proxy.#running = await start(program, ["--upstream", host]);
    proxy.url = `${proxy.#running.url}${HUB}`;
    return proxy;
  }

  async command(command) {
    const { child, lines } = this.#running;
    child.stdin.write(`${JSON.stringify(command)}\n`);
    const answer = JSON.parse((await within("the answer of the fault proxy", lines.next())).value);
    if (!answer.ok) throw new Error(`fault proxy: ${answer.error}`);
    return answer;
  }

  faults(faults) {
    return this.command({ faults });
  }

  /** Closes all connections; new ones are let through. */
  cut() {
    return this.command({ cut: true });
  }

  /** The same with an error for both sides. */
  reset() {
    return this.command({ reset: true });
  }

  /** Closes all connections and refuses new ones. */
  async block() {
    await this.faults({ accept: "refuse" });
    return this.cut();
  }

  /** Connections stay open, and nothing gets through: neither bytes nor their end. */
  halfOpen() {
    return this.faults({ toUpstream: { hole: true }, toClient: { hole: true } });
  }

  /** Ends all faults. */
  unblock() {
    return this.faults({});
  }

  status() {
    return this.command({ status: true });
  }

  async stop() {
    await end(this.#running);
  }
}

/** A token that the server accepts, for an hour. */
export function token(user, claims = {}) {
  const part = (value) => Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");
  const exp = Math.floor(Date.now() / 1000) + 3600;
  const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part({ sub: user, exp, ...claims })}`;
  return `${signed}.${createHmac("sha256", KEY).update(signed).digest("base64url")}`;
}
