// Test files of the browser package import by the paths of its pages: here those are files of this package.
import { register } from "node:module";

register("./resolve.mjs", import.meta.url);
