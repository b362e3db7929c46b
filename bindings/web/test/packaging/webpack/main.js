import * as hubwire from "@hubwire/web";
import { MessagePackHubProtocol } from "@hubwire/web/msgpack";
import { main } from "../app.js";

main(hubwire, new MessagePackHubProtocol());
