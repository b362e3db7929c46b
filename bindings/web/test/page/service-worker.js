// Service workers cannot import when they run, so all is imported here.
import * as hubwire from "/dist/index.js";
import * as msgpack from "/dist/msgpack.js";
import { answer } from "./remote.js";

answer({ hubwire, msgpack });
addEventListener("install", () => skipWaiting());
