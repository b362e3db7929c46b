import { HubConnectionState, type HubConnection, type StateCause } from "@hubwire/web";
import { makeChanges, type Changes } from "./changes.js";

/** How the connections are, and why. */
export interface Status {
  readonly changes: Changes;
  readonly state: HubConnectionState;
  /** Why it is not connected; empty while it is. */
  readonly reason: string;
  /** When the state was reached, as of `Date.now`. */
  readonly since: number;
  /** When the next attempt is made; undefined while one is under way, or none is needed. */
  readonly retryAt: number | undefined;
  /** Which attempt that is. */
  readonly attempt: number;
  /** What waits, and since when the oldest does. */
  readonly waiting: { readonly depth: number; readonly since: number | undefined };
  readonly roundTrip: number | undefined;
  readonly grade: string;
}

const reasonOf = (cause: StateCause): string => {
  switch (cause.type) {
    case "failed":
      return cause.error.message;
    case "serverClosed":
      return "The server has closed the connection.";
    default:
      return "";
  }
};

/** How often the quality is asked for, in milliseconds. */
const ASK_EVERY = 1_000;

export const makeStatus = (connection: HubConnection): Status => {
  const changes = makeChanges();
  let reason = "";
  let since = Date.now();
  let retryAt: number | undefined;
  let attempt = 0;
  let oldest: number | undefined;
  let quality = connection.quality;

  connection.onStateChanged(({ to, cause }) => {
    since = Date.now();
    reason = to === HubConnectionState.Connected ? "" : reasonOf(cause) || reason;
    if (to === HubConnectionState.Connected) {
      retryAt = undefined;
      attempt = 0;
    }
    changes.tell();
  });
  connection.onEvent("retryScheduled", (event) => {
    retryAt = Date.now() + event.delay;
    attempt = event.previousRetryCount + 1;
    reason = event.reason.message;
    changes.tell();
  });
  connection.onEvent("outboxChanged", ({ outbox }) => {
    oldest = outbox.oldestAge === null ? undefined : Date.now() - outbox.oldestAge;
    changes.tell();
  });
  // The event tells of another grade only.
  setInterval(async () => {
    quality = (await connection.metrics()).quality;
  }, ASK_EVERY);

  return {
    changes,
    get state() {
      return connection.state;
    },
    get reason() {
      return reason;
    },
    get since() {
      return since;
    },
    get retryAt() {
      return retryAt;
    },
    get attempt() {
      return attempt;
    },
    get waiting() {
      return { depth: connection.outbox.depth, since: oldest };
    },
    get roundTrip() {
      return connection.state === HubConnectionState.Connected ? (quality.rtt ?? undefined) : undefined;
    },
    get grade() {
      return quality.grade;
    },
  };
};
