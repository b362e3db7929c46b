import { killServer, serverRuns, startServer } from "../demo.js";
import type { Status } from "../model/status.js";
import { duration, el, setText } from "./dom.js";

const GRADES: Readonly<Record<string, string>> = { good: "good", fair: "fair", poor: "poor", lost: "" };

/** How the connection is, in words that are true while it is not there, too. */
export const statusBar = (status: Status): HTMLElement => {
  const state = el("strong", { className: "state", attributes: { role: "status" } });
  const reason = el("span", { className: "reason" });
  const retry = el("span", { className: "retry" });
  const outbox = el("span", { className: "outbox" });
  const quality = el("span", { className: "quality" });
  const server = el("button", { type: "button", hidden: true });
  const bar = el("footer", { className: "statusbar" }, state, reason, retry, outbox, quality, server);

  const draw = (): void => {
    const { retryAt, attempt, waiting, roundTrip, grade } = status;
    const now = Date.now();
    const connected = status.state === "Connected";
    bar.dataset["state"] = status.state;
    setText(state, status.state);
    setText(reason, connected ? "" : status.reason);
    setText(
      retry,
      connected || !attempt
        ? connected
          ? ""
          : `for ${duration(now - status.since)}`
        : retryAt && retryAt > now
          ? `attempt ${attempt} in ${duration(retryAt - now)}`
          : `attempt ${attempt} is under way`,
    );
    const age = waiting.since === undefined ? "" : `, the oldest for ${duration(now - waiting.since)}`;
    setText(outbox, waiting.depth ? `${waiting.depth} waiting to be sent${age}` : "Nothing waits to be sent");
    outbox.dataset["depth"] = String(waiting.depth);
    setText(quality, roundTrip === undefined ? "" : `Round trip ${Math.max(1, Math.round(roundTrip))} ms, ${GRADES[grade] ?? grade}`);
  };

  /** Looks whether the process is there; without the demo program there is nothing to be killed. */
  const look = async (): Promise<void> => {
    const runs = await serverRuns();
    setText(server, runs ? "Kill the server" : "Start the server");
    server.dataset["runs"] = String(runs);
    server.hidden = false;
  };
  server.addEventListener("click", async () => {
    server.disabled = true;
    try {
      await (server.dataset["runs"] === "true" ? killServer() : startServer());
      await look();
    } catch (error) {
      setText(reason, error instanceof Error ? error.message : String(error));
    }
    server.disabled = false;
  });

  const lookAgain = (): void => void look().catch(() => (server.hidden = true));
  let seen = "";
  status.changes.watch(() => {
    draw();
    const now = `${status.state} ${status.attempt}`;
    if (seen !== now) {
      seen = now;
      lookAgain();
    }
  });
  document.addEventListener("visibilitychange", () => document.hidden || lookAgain());
  // Countdowns and ages.
  setInterval(draw, 200);
  return bar;
};
