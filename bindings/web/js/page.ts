/** What a page knows of the network and of its user, for the core. Works in windows and in workers. */

import type { Hint } from "../../js/src/backend.js";

interface Target {
  addEventListener?(name: string, listener: (event: Event) => void): void;
  removeEventListener?(name: string, listener: (event: Event) => void): void;
}

/** Tells hints until the function that it gives is called. */
export function watchPage(tell: (hint: Hint) => void): () => void {
  const document = (globalThis as { document?: Document }).document;
  const listeners: [Target | undefined, string, () => void][] = [
    [globalThis as Target, "online", () => tell("online")],
    [globalThis as Target, "offline", () => tell("offline")],
    [document, "visibilitychange", () => tell(document!.hidden ? "background" : "foreground")],
    // A frozen page runs nothing, and one that comes back from the cache has lost its sockets without a word.
    [document, "resume", () => tell("resumed")],
    [globalThis as Target, "pageshow", () => tell("resumed")],
  ];
  for (const [target, name, listener] of listeners) {
    target?.addEventListener?.(name, listener);
  }
  if ((globalThis as { navigator?: Navigator }).navigator?.onLine === false) {
    tell("offline");
  }
  if (document?.hidden) {
    tell("background");
  }
  return () => {
    for (const [target, name, listener] of listeners) {
      target?.removeEventListener?.(name, listener);
    }
  };
}
