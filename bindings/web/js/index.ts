/**
 * SignalR for browsers. The module is loaded from `hubwire_web_bg.wasm` beside this file, with the first connection.
 *
 * @module
 */
import { BaseHubManager, type HubManagerOptions } from "../../js/src/manager.js";
import { WebHubConnectionBuilder } from "./builder.js";
import type { ModuleSource } from "./load.js";

export * from "../../js/src/index.js";
export { JsonHubProtocol } from "./json.js";
export { live as liveHandles } from "./payloads.js";

/** Configures a connection. */
export class HubConnectionBuilder extends WebHubConnectionBuilder {
  protected override source(): ModuleSource {
    return () => new URL("./hubwire_web_bg.wasm", import.meta.url);
  }
}

/** One connection for each hub of a server. */
export class HubManager extends BaseHubManager {
  constructor(baseUrl: string, options?: HubManagerOptions) {
    super(() => new HubConnectionBuilder(), baseUrl, options);
  }
}
