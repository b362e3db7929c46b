import type { RetrySchedule } from "./backend.js";

/** What a policy is asked about. */
export interface RetryContext {
  /** How many attempts have failed since the connection was lost. */
  readonly previousRetryCount: number;
  /** How long ago that was, in milliseconds. */
  readonly elapsedMilliseconds: number;
  /** Why the last attempt failed, or the connection was lost. */
  readonly retryReason: Error;
}

/** Decides when to try again. */
export interface IRetryPolicy {
  /** The delay before the next attempt, in milliseconds, or null to give up. One that throws gives up. */
  nextRetryDelayInMilliseconds(retryContext: RetryContext): number | null;
}

/** What may be said with any policy. */
export interface RetryOptions {
  /** Draw every delay between zero and that of the policy. Full jitter always does; for others the default is false. */
  jitter?: boolean;
  /** Whether a first `start()` that fails is tried again. Default true for full jitter, else false. */
  firstStart?: boolean;
  /** Give up after that many attempts. */
  maxRetries?: number;
}

/** Schedules for `withAutomaticReconnect`. */
export const RetryPolicies = {
  /** Drawn from zero to `base`, twice that, … up to `cap` (milliseconds; 1,000 and 30,000), for ever. */
  fullJitter: ({ base = 1_000, cap = 30_000 }: { base?: number; cap?: number } = {}): RetrySchedule => ({
    type: "fullJitter",
    base,
    cap,
  }),
  /** 0, 2, 10, 30 s, then give up: what SignalR does. */
  signalr: (): RetrySchedule => table([0, 2_000, 10_000, 30_000]),
  /** 0, 2, 10, 30, 60 s, then give up. */
  ailydian: (): RetrySchedule => table([0, 2_000, 10_000, 30_000, 60_000]),
  /** Doubling from 1 s to 30 s for the first minute, then every 30 s, for ever. */
  conduit: (): RetrySchedule => ({ type: "conduit" }),
  /** Those delays in milliseconds, then give up. */
  table: (delays: readonly number[]): RetrySchedule => table(delays),
} as const;

const table = (delays: readonly number[]): RetrySchedule => {
  // Lists for the official client may end with null, which means the same there as the end of the list.
  const end = (delays as readonly (number | null)[]).indexOf(null);
  return { type: "table", delays: end < 0 ? [...delays] : delays.slice(0, end) };
};
