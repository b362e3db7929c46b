// Runs functions that a page sends, in a worker, with the package at hand.

/** `library` is the first argument of the functions. */
export function answer(library) {
  const stray = [];
  addEventListener("unhandledrejection", ({ reason }) => stray.push(`nobody handled: ${reason?.message ?? reason}`));
  addEventListener("error", ({ message }) => stray.push(`uncaught: ${message}`));
  addEventListener("message", async ({ data: { source, argument }, ports: [port] }) => {
    try {
      // Sent by the test itself, so there is nothing to be careful about.
      const action = (0, eval)(`(${source})`);
      const value = await action(library, argument);
      const leaks = await globalThis.__hubwireLeaks?.();
      if (leaks) stray.push(`leaks: ${leaks}`);
      port.postMessage(stray.length > 0 ? { error: stray.splice(0).join("; ") } : { value });
    } catch (error) {
      port.postMessage({ error: `${error?.name}: ${error?.message ?? error}` });
    }
  });
}
