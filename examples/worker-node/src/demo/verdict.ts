/** What somebody who watched a task must have seen. */
import type { Entry } from "./program.js";

const isProgress = ({ event, taskId }: Entry, of: string): boolean => event === "progress" && taskId === of;

/** What is wrong with what a watcher logged of a task of so many steps, or nothing. */
export function faultIn(entries: readonly Entry[], taskId: string, steps: number): string | undefined {
  const progress = entries.filter((entry) => isProgress(entry, taskId));
  let [before, isNew] = [0, false];
  for (const entry of entries) {
    if (entry.event === "state") isNew = true;
    if (!isProgress(entry, taskId)) continue;
    const step = Number(entry["step"]);
    // Over a new connection one is told how it is, which one may know.
    if (step < before || (step === before && !isNew)) return `step ${step} comes after step ${before}`;
    [before, isNew] = [step, false];
  }
  const last = progress.at(-1);
  const isAll = last?.["step"] === steps && last["progressPercentage"] === 100 && last["framesCompleted"] === last["framesTotal"];
  // Of a task that has ended while there was no connection one is told the end only.
  if (!isAll && !isNew) {
    return `the last progress is not all of it: ${JSON.stringify(last)}`;
  }
  const ends = entries.filter(({ event, taskId: id }) => event === "end" && id === taskId);
  return ends.length === 1 && ends[0]?.["completed"] === true ? undefined : `the task ended as ${JSON.stringify(ends)}`;
}

/** The steps that a watcher saw. */
export const stepsIn = (entries: readonly Entry[], taskId: string): number[] =>
  entries.filter((entry) => isProgress(entry, taskId)).map(({ step }) => Number(step));
