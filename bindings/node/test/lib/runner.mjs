// Runs test files, each in a process of its own that has to end by itself.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { within } from "../../../web/test/lib/assert.mjs";
import { Report } from "../../../web/test/lib/report.mjs";

const here = dirname(fileURLToPath(import.meta.url));

export class Runner extends Report {
  #node;
  #programs;
  #only;

  /** `node` is the program to run with; `programs` has the paths of `server` and `proxy`. */
  constructor(node, programs, only = "") {
    super();
    this.#node = node;
    this.#programs = programs;
    this.#only = only;
  }

  async file(path) {
    const name = basename(path);
    const { server, proxy } = this.#programs;
    const child = spawn(
      this.#node,
      ["--expose-gc", "--import", join(here, "hooks.mjs"), join(here, "child.mjs"), path, server, proxy, this.#only],
      { stdio: ["ignore", "inherit", "inherit", "ipc"], env: { ...process.env, HUBWIRE_TEST_NODE: this.#node } },
    );
    const gone = once(child, "exit");
    let last = "its start";
    let timer;
    let ended;
    const watch = (timeout) => {
      clearTimeout(timer);
      timer = setTimeout(() => child.kill("SIGKILL"), 2 * timeout + 10_000);
    };
    watch(30_000);
    child.on("message", (message) => {
      if (message.begin !== undefined) {
        last = message.begin;
        watch(message.timeout);
      } else if (message.report) {
        this.report(name, message.report);
      } else {
        ended = message.end;
        // Whatever keeps it alive now was left behind.
        clearTimeout(timer);
        within("the end of the process", gone, 10_000).catch((error) => {
          this.broken(name, "leaves nothing running", error);
          child.kill("SIGKILL");
        });
      }
    });
    const [code, signal] = await gone;
    clearTimeout(timer);
    if (ended === undefined) this.broken(name, "runs to its end", new Error(`it ended with ${signal ?? code}, at: ${last}`));
    else if (ended) this.broken(name, "leaves nothing behind", new Error(ended));
    else if (code) this.broken(name, "ends well", new Error(`it ended with ${code}`));
  }
}
