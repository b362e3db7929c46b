/** The same by `require`. */
import hubwire = require("@hubwire/node");
import msgpack = require("@hubwire/node/msgpack");

const { HubConnectionBuilder } = hubwire;

const connection: hubwire.HubConnection = new HubConnectionBuilder()
  .withUrl("http://127.0.0.1:8080/hubs/chat", hubwire.HttpTransportType.WebSockets)
  .withHubProtocol(new msgpack.MessagePackHubProtocol())
  .build();

export = connection;
