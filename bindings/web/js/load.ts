/** The WebAssembly module: fetched and compiled once, when the first connection is started. */

import initialise, { Connection, type InitInput } from "../build/wasm/hubwire_web.js";

/** Where the module is: an address, or what was fetched of it. Asked for once. */
export type ModuleSource = () => InitInput | Promise<InitInput>;

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

export { Connection };
