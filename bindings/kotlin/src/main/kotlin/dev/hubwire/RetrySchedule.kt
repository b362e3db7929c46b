package dev.hubwire

import kotlin.time.Duration
import kotlin.time.Duration.Companion.seconds

/** What a policy is asked about. */
public class RetryContext internal constructor(
    /** How many attempts have failed since the connection was lost. */
    public val previousRetryCount: Int,
    /** How long ago that was. */
    public val elapsed: Duration,
    /** Why the last attempt failed, or the connection was lost. */
    public val reason: HubException,
)

/** Decides when to try again. One that throws gives up. */
public fun interface RetryPolicy {
    /** The delay before the next attempt, or null to give up. */
    public suspend fun nextDelay(context: RetryContext): Duration?
}

/** When to try again. */
public class RetrySchedule private constructor(internal val kind: Kind) {
    internal sealed interface Kind {
        class FullJitter(val base: Duration, val cap: Duration) : Kind

        object Conduit : Kind

        class Table(val delays: List<Duration>) : Kind

        class Custom(val policy: RetryPolicy) : Kind

        object Never : Kind
    }

    public companion object {
        /** Drawn from zero to [base], twice that, … up to [cap], for ever. The default. */
        public fun fullJitter(base: Duration = 1.seconds, cap: Duration = 30.seconds): RetrySchedule =
            RetrySchedule(Kind.FullJitter(base, cap))

        /** 0, 2, 10, 30 s, then give up: what SignalR does. */
        public fun signalr(): RetrySchedule = table(listOf(0.seconds, 2.seconds, 10.seconds, 30.seconds))

        /** 0, 2, 10, 30, 60 s, then give up. */
        public fun ailydian(): RetrySchedule =
            table(listOf(0.seconds, 2.seconds, 10.seconds, 30.seconds, 60.seconds))

        /** Doubling from 1 s to 30 s for the first minute, then every 30 s, for ever. */
        public fun conduit(): RetrySchedule = RetrySchedule(Kind.Conduit)

        /** Those delays, then give up. */
        public fun table(delays: List<Duration>): RetrySchedule = RetrySchedule(Kind.Table(delays.toList()))

        /** What the application decides. */
        public fun custom(policy: RetryPolicy): RetrySchedule = RetrySchedule(Kind.Custom(policy))

        /** Give up at once. */
        public fun never(): RetrySchedule = RetrySchedule(Kind.Never)
    }
}
