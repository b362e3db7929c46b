/**
 * The hub protocol `messagepack`, for `withHubProtocol`.
 *
 * @module
 */
export { MessagePackHubProtocol } from "./messagepack.js";
