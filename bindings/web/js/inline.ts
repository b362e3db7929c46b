/**
 * SignalR for browsers, with the WebAssembly module inside: for bundlers that do not take assets along, and for pages
 * that may fetch nothing.
 *
 * @module
 */
import bytes from "../build/wasm/hubwire_web_bg.wasm";
import { WebHubConnectionBuilder } from "./builder.js";
import type { ModuleSource } from "./load.js";

export * from "../../js/src/index.js";
export { JsonHubProtocol } from "./json.js";
export { live as liveHandles } from "./payloads.js";

/** Configures a connection. */
export class HubConnectionBuilder extends WebHubConnectionBuilder {
  protected source(): ModuleSource {
    return () => bytes;
  }
}
