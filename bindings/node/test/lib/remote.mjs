// Functions that run in a worker thread, with the package at hand.
import { MessageChannel, Worker } from "node:worker_threads";

/** `run(action, argument)` runs `action(package, argument)` there; the function must refer to nothing around it. */
export function remote() {
  const worker = new Worker(new URL("./worker.mjs", import.meta.url));
  const failed = new Promise((_, reject) => {
    worker.once("error", (error) => reject(new Error(`the worker failed: ${error.message}`)));
    worker.once("exit", (code) => reject(new Error(`the worker ended with ${code}`)));
  });
  failed.catch(() => {});
  return {
    run(action, argument) {
      const { port1, port2 } = new MessageChannel();
      const answered = new Promise((resolve, reject) => {
        port1.once("message", ({ error, value }) => (error === undefined ? resolve(value) : reject(new Error(error))));
      });
      worker.postMessage({ source: String(action), argument, port: port2 }, [port2]);
      return Promise.race([answered, failed]).finally(() => port1.close());
    },
    close: () => worker.terminate(),
  };
}
