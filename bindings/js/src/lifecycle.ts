import type { StateName } from "./backend.js";
import type { Emitter } from "./emitter.js";
import type { StateCause } from "./options.js";
import { HubConnectionState } from "./state.js";

const { Connected, Connecting, Disconnected, Disconnecting, Reconnecting } = HubConnectionState;

/** The state of a connection, and who is told of its changes. */
export class Lifecycle {
  state: HubConnectionState = Disconnected;
  connectionId: string | null = null;
  readonly #emitter: Emitter;
  /** It has been connected since it was disconnected last. */
  #started = false;
  /** Changes that are not told yet: those who are told of one may cause the next. */
  readonly #changes: (() => void)[] = [];
  #telling = false;

  constructor(emitter: Emitter) {
    this.#emitter = emitter;
  }

  /** What the core says. */
  follow(state: StateName, cause: StateCause): void {
    // A stop that was asked for is all that counts until it is done.
    if (this.state !== Disconnecting || state === Disconnected) {
      this.change(state as HubConnectionState, cause);
    }
  }

  change(to: HubConnectionState, cause: StateCause): void {
    const from = this.state;
    if (from === to) {
      return;
    }
    const started = this.#started;
    const error = cause.type === "failed" ? cause.error : undefined;
    this.state = to;
    if (to === Connected) {
      this.#started = true;
      this.connectionId = cause.type === "established" ? cause.connectionId : null;
    } else if (to !== Disconnecting) {
      this.connectionId = null;
      this.#started &&= to !== Disconnected;
    }
    const id = this.connectionId ?? undefined;
    this.#changes.push(() => {
      if (to === Reconnecting) {
        this.#emitter.emit("onreconnecting", error);
      } else if (to === Connected && from === Reconnecting) {
        this.#emitter.emit("onreconnected", id);
      } else if (to === Disconnected && started) {
        // Who gave up reconnecting was told why when it began.
        this.#emitter.emit("onclose", from === Reconnecting ? undefined : error);
      }
      this.#emitter.emit("stateChanged", { from, to, cause });
    });
    if (!this.#telling) {
      this.#telling = true;
      for (let tell; (tell = this.#changes.shift());) {
        tell();
      }
      this.#telling = false;
    }
  }

  /** The platform is asked to start: so it is, also while that is still loading. Returns whether that is possible. */
  starting(): boolean {
    const possible = this.state === Disconnected;
    if (possible) {
      this.change(Connecting, { type: "requested" });
    }
    return possible;
  }
}
