/** What another page has left in the store is sent by a connection of its own, which then ends. */

import type { BackendConfig, BackendConnection, BackendEvents } from "../../js/src/backend.js";
import type { Part } from "./store.js";

const GONE = "The page that this message was for is gone.";

/** Sends what is in the part, and forgets the part; or lets go of it when that is not to be. */
export function sendLeft(
  part: Part,
  config: BackendConfig,
  events: BackendEvents,
  connect: (config: BackendConfig, events: BackendEvents, part: Part) => BackendConnection,
): void {
  let isOver = false;
  const end = (isEmpty: boolean): void => {
    if (!isOver) {
      isOver = true;
      void connection.stop().then(async () => {
        connection.dispose();
        await (isEmpty ? part.remove() : part.release());
      });
    }
  };
  const nothing = (): void => {};
  const connection: BackendConnection = connect(config, {
    stateChanged: (state) => state === "Disconnected" && end(false),
    invocation: (_target, _args, reply, delivery) => {
      if (reply !== undefined) {
        connection.reply(reply, { type: "noHandler" });
      }
      if (delivery !== undefined) {
        connection.handled(delivery, GONE);
      }
    },
    event: (event) => event.type === "outboxChanged" && event.outbox.depth === 0 && end(true),
    restored: (calls) => calls.length === 0 && end(true),
    broken: () => part.release(),
    retryDelay: (question) => events.retryDelay(question),
    token: () => events.token(),
    log: (level, text) => events.log(level, text),
    invocationCancelled: nothing,
    completed: nothing,
    item: nothing,
    queued: nothing,
    uploadStarted: nothing,
    uploadStopped: nothing,
  }, part);
  connection.start().catch(nothing);
}
