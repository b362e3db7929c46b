/**
 * SignalR for browsers, with the WebAssembly module inside: for bundlers that do not take assets along, and for pages that may
 * fetch nothing.
 *
 * @module
 */
import bytes from "../build/wasm/hubwire_web_bg.wasm";
import { BaseHubManager, type HubManagerOptions } from "../../js/src/manager.js";
import { WebHubConnectionBuilder } from "./builder.js";
import type { ModuleSource } from "./load.js";

export * from "../../js/src/index.js";
export { JsonHubProtocol } from "./json.js";
export { live as liveHandles } from "./payloads.js";

/** Configures a connection. */
export class HubConnectionBuilder extends WebHubConnectionBuilder {
  protected override source(): ModuleSource {
    return () => bytes;
  }
}

/** One connection for each hub of a server. */
export class HubManager extends BaseHubManager {
  constructor(baseUrl: string, options?: HubManagerOptions) {
    super(() => new HubConnectionBuilder(), baseUrl, options);
  }
}
