// The types of the package as a strict project sees them, declarations of the package included.
import { HubConnectionBuilder, HubConnectionState, type HubConnection } from "@hubwire/web";
import { HubConnectionBuilder as Inlined } from "@hubwire/web/inline";
import { MessagePackHubProtocol } from "@hubwire/web/msgpack";
import * as hubs from "@hubwire/web/hubs";

const connection: HubConnection = new HubConnectionBuilder()
  .withUrl("/hub")
  .withAutomaticReconnect()
  .withHubProtocol(new MessagePackHubProtocol())
  .build();
const sum: Promise<number> = connection.invoke<number>("Add", 1, 2);
connection.on("ReceiveMessage", (text: string) => console.log(text));
export const known: [Promise<number>, boolean, object, typeof Inlined] = [
  sum,
  connection.state === HubConnectionState.Connected,
  hubs,
  Inlined,
];
