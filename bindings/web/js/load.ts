/** The WebAssembly module: fetched and compiled once, when the first connection is started. */

import initialise from "../build/wasm/hubwire_web.js";

/** Where the module is, or what it is. */
export type WebModule = string | URL | Request | Response | BufferSource | WebAssembly.Module;

/** Says where the module is. Asked once, unless it could not be loaded. */
export type ModuleSource = () => WebModule | Promise<WebModule>;

let loading: Promise<void> | undefined;
let isLoaded = false;

/** The module, loaded. A failure is forgotten, so that the next start tries again. */
export function load(source: ModuleSource): Promise<void> {
  loading ??= (async () => {
    try {
      await initialise({ module_or_path: await source() });
      isLoaded = true;
    } catch (error) {
      loading = undefined;
      throw error;
    }
  })();
  return loading;
}

export const loaded = (): boolean => isLoaded;
