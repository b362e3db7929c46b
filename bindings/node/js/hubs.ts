/**
 * Clients of single hubs.
 *
 * @module
 */
export * from "../../js/src/hubs/index.js";
