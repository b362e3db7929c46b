/** Programs that are started, read and killed. */
import { spawn, type ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";

/** How long anything may take before it counts as failed. */
const PATIENCE = 20_000;

/** A line of a program's log; other lines are the property `line` of one. */
export interface Entry {
  readonly event: string;
  readonly [field: string]: unknown;
}

/** A program that logs JSON lines, and never outlives this one. */
export class Program {
  readonly entries: Entry[] = [];
  /** The exit code, or the signal that ended it. */
  readonly ended: Promise<number | string>;
  readonly #child: ChildProcess;
  readonly #name: string;
  #isOver = false;
  #watching = new Set<() => void>();

  private constructor(name: string, child: ChildProcess) {
    this.#name = name;
    this.#child = child;
    const leave = (): boolean => child.kill("SIGKILL");
    process.once("exit", leave);
    createInterface({ input: child.stdout! }).on("line", (line) => {
      this.entries.push(entryOf(line));
      this.#told();
    });
    this.ended = new Promise((resolve) => {
      const over = (how: number | string): void => {
        process.removeListener("exit", leave);
        this.#isOver = true;
        resolve(how);
        this.#told();
      };
      child.once("error", (error) => over(error.message));
      // After its output was read.
      child.once("close", (code, signal) => over(code ?? signal ?? "gone"));
    });
  }

  /** Its errors go to this program's. Its input stays open as long as this one lives. */
  static start(name: string, file: string, args: readonly string[], env: NodeJS.ProcessEnv): Program {
    const options = { env: { ...process.env, ...env }, stdio: ["pipe", "pipe", "inherit"] as ("pipe" | "inherit")[] };
    return new Program(name, spawn(file, args, options));
  }

  /** The first line for which the test holds, that there is or that comes. */
  async until(what: string, test: (entry: Entry) => boolean): Promise<Entry> {
    const end = Date.now() + PATIENCE;
    for (;;) {
      const found = this.entries.find(test);
      if (found) return found;
      if (this.#isOver) throw new Error(`${this.#name} ended before ${what}: ${JSON.stringify(this.entries.slice(-5))}`);
      if (!(await this.#changed(end - Date.now()))) {
        throw new Error(`${this.#name}: ${what} did not come; last of all: ${JSON.stringify(this.entries.slice(-5))}`);
      }
    }
  }

  /** As a crash: it can do nothing any more. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.ended;
  }

  /** As an operator or a supervisor does. How it ended. */
  terminate(): Promise<number | string> {
    this.#child.kill("SIGTERM");
    return this.end();
  }

  /** How it ended, in time. */
  async end(): Promise<number | string> {
    const late = new Promise<never>((_, reject) => {
      const timer = setTimeout(() => reject(new Error(`${this.#name} does not end`)), PATIENCE);
      void this.ended.finally(() => clearTimeout(timer));
    });
    return Promise.race([this.ended, late]);
  }

  #told(): void {
    const watching = [...this.#watching];
    this.#watching.clear();
    for (const tell of watching) tell();
  }

  #changed(milliseconds: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), Math.max(0, milliseconds));
      this.#watching.add(() => {
        clearTimeout(timer);
        resolve(true);
      });
    });
  }
}

function entryOf(line: string): Entry {
  try {
    return JSON.parse(line) as Entry;
  } catch {
    return { event: "", line };
  }
}
