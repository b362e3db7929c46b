import * as hubwire from "@hubwire/web/inline";
import { main } from "../app.js";

main(hubwire);
