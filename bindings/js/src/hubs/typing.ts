/** A user counts as writing for that long after the last key, in milliseconds. */
const IDLE = 3_000;
/** The server forgets after 5,000 that somebody writes: it is told again before. */
const REPEAT = 2_500;

interface Writing {
  idle: ReturnType<typeof setTimeout>;
  /** While it runs, the server knows. */
  told: ReturnType<typeof setTimeout> | undefined;
}

/** Turns key presses into as few messages as it takes to be seen writing. */
export class TypingSignal {
  readonly #tell: { start(conversation: string): void; stop(conversation: string): void };
  readonly #writing = new Map<string, Writing>();

  constructor(tell: { start(conversation: string): void; stop(conversation: string): void }) {
    this.#tell = tell;
  }

  start(conversation: string): void {
    const writing: Writing = this.#writing.get(conversation) ?? { idle: undefined as never, told: undefined };
    this.#writing.set(conversation, writing);
    clearTimeout(writing.idle);
    writing.idle = setTimeout(() => this.stop(conversation), IDLE);
    if (writing.told === undefined) {
      writing.told = setTimeout(() => (writing.told = undefined), REPEAT);
      this.#tell.start(conversation);
    }
  }

  stop(conversation: string): void {
    if (this.forget(conversation)) {
      this.#tell.stop(conversation);
    }
  }

  /** As {@link stop}, where the server knows by itself. Returns whether the user was writing. */
  forget(conversation: string): boolean {
    clearTimeout(this.#writing.get(conversation)?.idle);
    return this.#writing.delete(conversation);
  }
}
