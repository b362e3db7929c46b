import * as hubwire from "../vite/node_modules/@hubwire/web/dist/index.js";
import { main } from "../app.js";

main(hubwire);
