/** What the worker does. Put yours here. */
import { setTimeout as delay } from "node:timers/promises";
import type { Report, Task } from "./work.js";

const numberOf = (value: unknown, otherwise: number): number =>
  typeof value === "number" && value > 0 ? value : otherwise;

/**
 * Renders frames, or pretends to: each report is one step. It begins behind the last step that the server has, and throws when
 * it fails. `signal` ends it between two steps.
 */
export async function* job({ metadata, step: last }: Task, signal: AbortSignal): AsyncGenerator<Report, unknown> {
  const steps = numberOf(metadata["steps"], 20);
  for (let step = last + 1; step <= steps; step++) {
    await delay(numberOf(metadata["stepMilliseconds"], 250), undefined, { signal });
    yield {
      step,
      progressPercentage: Math.floor((step * 100) / steps),
      message: step < steps / 10 ? "Loading the scene" : step < steps ? "Rendering" : "Encoding",
      framesCompleted: step * 24,
      framesTotal: steps * 24,
    };
  }
  return { frames: steps * 24 };
}
