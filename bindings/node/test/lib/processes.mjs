// Other Node processes, which run a function with the package at hand.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { within } from "../../../web/test/lib/assert.mjs";

/** The package finds itself by its name from here. */
const folder = fileURLToPath(new URL("../..", import.meta.url));

/**
 * Starts a process that runs `action(package, argument)`, a function that refers to nothing around it. What it writes with
 * `console.log` are `lines`; `end()` waits for its end and gives `{ code, signal, lines, errors }`.
 */
export const start = (action, argument, ...flags) => startWith({}, action, argument, ...flags);

/** The same with more in its environment. */
export function startWith(environment, action, argument, ...flags) {
  const source = `
    import * as hubwire from "@hubwire/node";
    import { MessagePackHubProtocol } from "@hubwire/node/msgpack";
    (${action})({ ...hubwire, MessagePackHubProtocol }, ${JSON.stringify(argument)});`;
  const child = spawn(process.execPath, [...flags, "--input-type=module", "--eval", source], {
    cwd: folder,
    env: { ...process.env, ...environment },
    stdio: ["pipe", "pipe", "pipe"],
  });
  const abandon = () => child.kill("SIGKILL");
  process.once("exit", abandon);
  // Whoever writes to a process that is gone learns of it from its end.
  child.stdin.on("error", () => {});
  const lines = [];
  const waiting = new Set();
  const reader = createInterface({ input: child.stdout });
  reader.on("line", (line) => {
    lines.push(line);
    for (const look of [...waiting]) look();
  });
  let errors = "";
  child.stderr.on("data", (data) => (errors += data));
  const gone = once(child, "close").then(([code, signal]) => {
    process.off("exit", abandon);
    for (const look of [...waiting]) look();
    return { code, signal, lines, errors };
  });
  return {
    lines,
    child,
    end: (what = "the end of the process", milliseconds = 15_000) => within(what, gone, milliseconds),
    /** Waits until it has written that line. */
    line(text, milliseconds = 15_000) {
      const written = new Promise((resolve, reject) => {
        const look = () => {
          if (lines.includes(text)) resolve();
          else if (child.exitCode !== null || child.signalCode !== null)
            gone.then((end) => reject(new Error(`the process ended with ${end.signal ?? end.code} before it wrote '${text}': ${end.errors}`)));
          else return;
          waiting.delete(look);
        };
        waiting.add(look);
        look();
      });
      return within(`the line '${text}' of a process`, written, milliseconds);
    },
    /** Gives it a line to read. */
    say: (text) => child.stdin.write(`${text}\n`),
    kill: (signal = "SIGKILL") => child.kill(signal),
  };
}

/** Runs it to its end, with nothing to read. */
export const run = (action, argument, ...flags) => runWith({}, action, argument, ...flags);

/** The same with more in its environment. */
export function runWith(environment, action, argument, ...flags) {
  const process = startWith(environment, action, argument, ...flags);
  process.child.stdin.end();
  return process.end();
}
