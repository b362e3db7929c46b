/** The time of the core: milliseconds of the Unix epoch that never go back, whatever is done to the machine's clock. */

/** Less than this between the two clocks is drift, more is a sleep or somebody who set the clock. */
const TOLERANCE = 2000;

/**
 * The monotonic clock stands still while the machine sleeps, and the other one may be set at any time. Together they tell
 * how long a sleep was: without that, a connection that died meanwhile would look alive for as long as its timeout.
 */
export function clock(monotonic: () => number = () => performance.now(), wall: () => number = Date.now): () => number {
  const origin = wall() - monotonic();
  let asleep = 0;
  let setBack = 0;
  return () => {
    const expected = origin + monotonic() + asleep;
    const missed = wall() + setBack - expected;
    if (missed > TOLERANCE) {
      asleep += missed;
      return expected + missed;
    }
    if (missed < -TOLERANCE) {
      setBack -= missed;
    }
    return expected;
  };
}
