/** What the connections of all programs have in common. */
import { HubConnectionBuilder, RetryPolicies } from "@hubwire/node";
import { configureHub, type HubDefinition } from "@hubwire/node/hubs";
import { connectionLogger } from "./log.js";
import { accessToken, serverUrl } from "./settings.js";

/** Between machines of one's own a server that is back is found soon; `withResilience` alone waits up to 30 s. */
const RETRIES = RetryPolicies.fullJitter({ base: 250, cap: 5_000 });

/** For a connection that is made again for as long as it takes, the first one, too. */
export const builderFor = (hub: HubDefinition): HubConnectionBuilder =>
  configureHub(new HubConnectionBuilder(), hub)
    .withUrl(serverUrl() + hub.path, { accessTokenFactory: accessToken })
    .configureLogging(connectionLogger)
    .withAutomaticReconnect(RETRIES, { firstStart: true })
    .withResilience();
