// What the functions of the WebAssembly module are called once the build has shortened their names.
import { readFileSync } from "node:fs";

const { exports } = JSON.parse(readFileSync(new URL("../../build/wasm/names.json", import.meta.url), "utf8"));

/** From the name in Rust to that of the export. */
export const exportNames = Object.fromEntries(exports);
