// The other side of remote.mjs.
import { parentPort } from "node:worker_threads";
import * as hubwire from "./hubwire.mjs";

const stray = [];
process.on("unhandledRejection", (reason) => stray.push(`nobody handled: ${reason?.message ?? reason}`));
process.on("uncaughtException", (error) => stray.push(`uncaught: ${error?.message ?? error}`));

parentPort.on("message", async ({ source, argument, port }) => {
  try {
    // Sent by the test itself, so there is nothing to be careful about.
    const action = (0, eval)(`(${source})`);
    const value = await action(hubwire, argument);
    port.postMessage(stray.length > 0 ? { error: stray.splice(0).join("; ") } : { value });
  } catch (error) {
    port.postMessage({ error: `${error?.name}: ${error?.message ?? error}` });
  }
});
