/** What a page knows of the network and of its user, for the core. Works in windows and in workers. */

import type { Hint } from "../../js/src/backend.js";

interface Target {
  addEventListener?(name: string, listener: (event: Event) => void): void;
  removeEventListener?(name: string, listener: (event: Event) => void): void;
}

/**
 * Tells hints until the function that it gives is called. `leave` is called when the page is left and may be kept: browsers keep
 * only pages without open sockets.
 */
export function watchPage(tell: (hint: Hint) => void, leave: () => void): () => void {
  const document = (globalThis as { document?: Document }).document;
  const listeners: [Target | undefined, string, () => void][] = [
    [globalThis as Target, "online", () => tell("online")],
    [globalThis as Target, "offline", () => tell("offline")],
    [document, "visibilitychange", () => tell(document!.hidden ? "background" : "foreground")],
    // A frozen page runs nothing, and one that comes back from the cache has lost its sockets without a word.
    [document, "resume", () => tell("resumed")],
    [globalThis as Target, "pageshow", () => tell("resumed")],
    // Whether it will be kept is not known yet: with an open socket it would not be.
    [globalThis as Target, "pagehide", leave],
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
