/**
 * SignalR for Node.
 *
 * @module
 */
import type { Backend, HubProtocol } from "../../js/src/backend.js";
import { BaseHubConnectionBuilder } from "../../js/src/builder.js";
import { BaseHubManager, type HubManagerOptions } from "../../js/src/manager.js";
import { JsonHubProtocol } from "./codec.js";
import { NodeConnection } from "./connection.js";

export * from "../../js/src/index.js";
export { JsonHubProtocol };

const backend: Backend = { connect: (config, events) => new NodeConnection(config, events) };

/** Configures a connection. */
export class HubConnectionBuilder extends BaseHubConnectionBuilder {
  protected override backend(): Backend {
    return backend;
  }

  protected override defaultProtocol(): HubProtocol {
    return new JsonHubProtocol();
  }
}

/** One connection for each hub of a server. */
export class HubManager extends BaseHubManager {
  constructor(baseUrl: string, options?: HubManagerOptions) {
    super(() => new HubConnectionBuilder(), baseUrl, options);
  }
}
