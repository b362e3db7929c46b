import * as hubwire from "@hubwire/web";
import { main } from "../app.js";

void main(hubwire);
