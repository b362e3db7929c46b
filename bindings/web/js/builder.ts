import type { Backend, HubProtocol } from "../../js/src/backend.js";
import { BaseHubConnectionBuilder } from "../../js/src/builder.js";
import { webBackend } from "./backend.js";
import { JsonHubProtocol } from "./json.js";
import type { ModuleSource } from "./load.js";

/** The builder of an entry, whose module is loaded from there. */
export abstract class WebHubConnectionBuilder extends BaseHubConnectionBuilder {
  protected abstract source(): ModuleSource;

  protected override backend(): Backend {
    return webBackend(this.source());
  }

  protected override defaultProtocol(): HubProtocol {
    return new JsonHubProtocol();
  }
}
