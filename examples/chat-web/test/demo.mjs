// The demo program with the page and its server, which are gone when this is.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { within } from "../../../bindings/web/test/lib/assert.mjs";

export class Demo {
  #child;
  #gone;

  static async start(program, site) {
    const demo = new Demo();
    // It ends when its input does, and its server with it.
    demo.#child = spawn(program, ["page", "--site", site], { stdio: ["pipe", "pipe", "inherit"] });
    demo.#gone = once(demo.#child, "exit");
    const lines = createInterface({ input: demo.#child.stdout });
    const url = new Promise((resolve, reject) => {
      lines.on("line", (line) => line.startsWith("listening on ") && resolve(line.slice("listening on ".length)));
      demo.#gone.then(() => reject(new Error("the demo ended")), reject);
    });
    demo.url = await within("the demo to say where it listens", url, 20_000);
    return demo;
  }

  async #process() {
    const { process } = await (await fetch(`${this.url}/server`)).json();
    return process;
  }

  /** The server takes nothing in any more, and looks alive. */
  async halt() {
    process.kill(await this.#process(), "SIGSTOP");
  }

  /** At once, also while it is halted. */
  async kill() {
    process.kill(await this.#process(), "SIGKILL");
  }

  /** Again where it was. */
  async startServer() {
    const response = await fetch(`${this.url}/server/start`, { method: "POST", headers: { "x-hubwire-demo": "1" } });
    if (!response.ok) throw new Error(await response.text());
  }

  async stop() {
    this.#child.stdin.end();
    await within("the end of the demo", this.#gone).catch(() => this.#child.kill("SIGKILL"));
  }
}
