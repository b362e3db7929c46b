/**
 * SignalR for Node.
 *
 * @module
 */
import type { Backend, HubProtocol } from "../../js/src/backend.js";
import { BaseHubConnectionBuilder } from "../../js/src/builder.js";
import { BaseHubManager, type HubManagerOptions } from "../../js/src/manager.js";
import type { HttpTransportType } from "../../js/src/transports.js";
import { JsonHubProtocol } from "./codec.js";
import { NodeConnection } from "./connection.js";
import { networkOf, type INodeHttpConnectionOptions } from "./network.js";

export * from "../../js/src/index.js";
export type { INodeHttpConnectionOptions } from "./network.js";
export { JsonHubProtocol };

/** Configures a connection. */
export class HubConnectionBuilder extends BaseHubConnectionBuilder {
  #options: INodeHttpConnectionOptions = {};

  override withUrl(url: string, transportTypeOrOptions?: HttpTransportType | INodeHttpConnectionOptions): this {
    super.withUrl(url, transportTypeOrOptions);
    if (typeof transportTypeOrOptions === "object") {
      this.#options = { ...this.#options, ...transportTypeOrOptions };
    }
    return this;
  }

  protected override backend(): Backend {
    const network = networkOf(this.#options);
    return { connect: (config, events) => new NodeConnection(config, events, network) };
  }

  protected override defaultProtocol(): HubProtocol {
    return new JsonHubProtocol();
  }
}

/** Options of a {@link HubManager} in Node. */
export interface NodeHubManagerOptions extends HubManagerOptions {
  readonly http?: INodeHttpConnectionOptions;
}

/** One connection for each hub of a server. */
export class HubManager extends BaseHubManager {
  constructor(baseUrl: string, options?: NodeHubManagerOptions) {
    super(() => new HubConnectionBuilder(), baseUrl, options);
  }
}
