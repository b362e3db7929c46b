import * as hubwire from "/dist/index.js";
import * as msgpack from "/dist/msgpack.js";
import { answer } from "./remote.js";

answer({ hubwire, msgpack });
