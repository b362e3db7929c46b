/**
 * SignalR for browsers. The module is loaded from `hubwire_web_bg.wasm` beside this file.
 *
 * @module
 */
import { WebHubConnectionBuilder } from "./builder.js";
import type { ModuleSource } from "./load.js";

export * from "../../js/src/index.js";
export { JsonHubProtocol } from "./json.js";
export { live as liveHandles } from "./payloads.js";

/** Configures a connection. */
export class HubConnectionBuilder extends WebHubConnectionBuilder {
  protected source(): ModuleSource {
    return () => new URL("./hubwire_web_bg.wasm", import.meta.url);
  }
}
