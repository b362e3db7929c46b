/** Everything, in one file: `require` and `import` of any entry have the same classes. */
export * from "./index.js";
export * from "./msgpack.js";
export * from "./hubs.js";
