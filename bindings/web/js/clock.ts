/** The time of the core: milliseconds of the Unix epoch that never go back, whatever is done to the machine's clock. */

/** A time above this is one of the other clock: pages do not live for three years. */
const EPOCH = 1e11;

/** Less than this between the two clocks is drift, more is a sleep or somebody who set the clock. */
const TOLERANCE = 2000;

/**
 * The monotonic clock stands still while the machine sleeps, and the other one may be set at any time. Together they tell
 * how long a sleep was: without that, a connection that died meanwhile would look alive for as long as its timeout.
 */
export class Clock {
  readonly #monotonic: () => number;
  readonly #wall: () => number;
  /** What has to be added to the monotonic clock. */
  #offset: number;
  #setBack = 0;

  constructor(monotonic: () => number = () => performance.now(), wall: () => number = Date.now) {
    this.#monotonic = monotonic;
    this.#wall = wall;
    this.#offset = wall() - monotonic();
  }

  now(): number {
    const expected = this.#monotonic() + this.#offset;
    const missed = this.#wall() + this.#setBack - expected;
    if (missed > TOLERANCE) {
      this.#offset += missed;
      return expected + missed;
    }
    if (missed < -TOLERANCE) {
      this.#setBack -= missed;
    }
    return expected;
  }

  /**
   * The same without a look whether there was a sleep: for messages, which are many. The next timer looks. `stamp` is when an
   * event says that it was made, on the monotonic clock, which browsers are slow to read.
   */
  soon(stamp: number | undefined): number {
    const isStamp = stamp !== undefined && stamp > 0 && stamp < EPOCH;
    return (isStamp ? stamp : this.#monotonic()) + this.#offset;
  }
}
