import * as hubwire from "./hubwire.js";
import { answer } from "./remote.js";

answer(hubwire);
