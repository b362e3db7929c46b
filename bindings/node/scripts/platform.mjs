// The name of the platform this runs on, as the native module for it is called. `js/native.ts` finds it by the same rules.
import { platform } from "./platforms.mjs";

console.log(platform());
