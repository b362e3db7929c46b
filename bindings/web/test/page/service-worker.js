// Service workers cannot import when they run, so all is imported here.
import * as hubwire from "./hubwire.js";
import { answer } from "./remote.js";

answer(hubwire);
addEventListener("install", () => skipWaiting());
