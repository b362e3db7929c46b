/** What is on its way to the server. */
import type { Call, HubConnection } from "@hubwire/node";
import { log, textOf } from "./log.js";

/** So many may wait for a connection; then the work waits, too. */
const MOST_WAITING = 1_000;

/** The reports of this process and of those before it that have not ended. */
export class Reports {
  readonly #connection: HubConnection;
  readonly #refused: (error: unknown) => void;
  readonly #underWay = new Set<Promise<unknown>>();

  /** `refused` hears of every report that came to nothing. */
  constructor(connection: HubConnection, refused: (error: unknown) => void) {
    this.#connection = connection;
    this.#refused = refused;
  }

  get underWay(): number {
    return this.#underWay.size;
  }

  /** Takes over what an earlier process has left. */
  async restore(): Promise<void> {
    const restored = await this.#connection.restoredCalls();
    if (restored.length > 0) log("restored", { reports: restored.length });
    for (const { target, result } of restored) this.#watch(target, result);
  }

  /** Fulfilled when the report is on the disk, and there is room for another. */
  async add(name: string, call: Call<void>): Promise<void> {
    this.#watch(name, call);
    await call.accepted;
    while (this.#underWay.size >= MOST_WAITING) await Promise.race(this.#underWay);
  }

  /** Whether all have ended, at the latest after that time. */
  async settled(milliseconds: number): Promise<boolean> {
    const end = AbortSignal.timeout(milliseconds);
    const ended = new Promise((resolve) => end.addEventListener("abort", resolve));
    while (this.#underWay.size > 0 && !end.aborted) await Promise.race([ended, ...this.#underWay]);
    return this.#underWay.size === 0;
  }

  #watch(name: string, result: Promise<unknown>): void {
    const watched: Promise<unknown> = result
      .catch((error: unknown) => {
        log("refused", { report: name, error: textOf(error) });
        this.#refused(error);
      })
      .finally(() => this.#underWay.delete(watched));
    this.#underWay.add(watched);
  }
}
