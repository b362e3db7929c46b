/** The platform of browsers: `backend.ts` of the shared API over the core in WebAssembly. */

import type { Backend, BackendConfig, BackendEvents } from "../../js/src/backend.js";
import { WebConnection } from "./connection.js";
import type { ModuleSource } from "./load.js";

/** The backend over a module that is loaded from there. */
export const webBackend = (source: ModuleSource): Backend => ({
  connect: (config: BackendConfig, events: BackendEvents) => new WebConnection(config, events, source),
});
