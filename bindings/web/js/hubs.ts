/**
 * Clients of single hubs, for connections of any entry.
 *
 * @module
 */
export * from "../../js/src/hubs/index.js";
