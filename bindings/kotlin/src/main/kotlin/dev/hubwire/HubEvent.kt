package dev.hubwire

import kotlin.time.Duration

/** What happens on a connection besides messages and changes of the state. */
public sealed interface HubEvent {
    /** There will be another attempt, after [delay]; [previousRetryCount] attempts have failed before. */
    public data class RetryScheduled(val previousRetryCount: Int, val delay: Duration, val reason: HubException) :
        HubEvent

    /** A lost transport was replaced, with nothing missing. */
    public data object Resumed : HubEvent

    /** What waits in the outbox has changed. */
    public data class OutboxChanged(val outbox: OutboxProgress) : HubEvent

    /** The store of the outbox could not be written. */
    public data class StoreFailed(val error: HubException) : HubEvent

    /** A group could not be joined again by calling [target]. */
    public data class RejoinFailed(val target: String, val error: HubException) : HubEvent

    /** Messages were lost for good. */
    public data class Gap(val source: GapSource, val error: HubException) : HubEvent

    /** The grade of the connection has changed. */
    public data class QualityChanged(val quality: Quality) : HubEvent

    /** The token was refreshed in place, or could not be because of [error]. */
    public data class TokenRefreshed(val error: HubException?) : HubEvent

    /** A handler of [target] failed, or what the server sent does not fit it. The connection goes on. */
    public data class HandlerFailed(val target: String, val error: Throwable) : HubEvent
}

/** Where messages were lost. */
public sealed interface GapSource {
    /** In a stream with history. */
    public data class Stream(val name: String) : GapSource

    /** Among the changes of the object with that [key]. */
    public data class Object(val target: String, val key: String) : GapSource
}

/** What waits in the outbox. */
public data class OutboxProgress(
    /** How many calls. */
    val depth: Long,
    /** How many bytes they have, about. */
    val bytes: Long,
    /** How long the oldest has waited. */
    val oldestAge: Duration?,
)

/** How good a connection is, in one word. */
public enum class Grade {
    /** Nobody notices it. */
    Good,

    /** One notices it. */
    Fair,

    /** It disturbs. */
    Poor,

    /** There is none. */
    Lost,
}

/** How good a connection is. */
public data class Quality(
    val grade: Grade,
    /** The smoothed round-trip time, once it was measured. */
    val rtt: Duration?,
    /** How much it varies. */
    val jitter: Duration,
)

/** Counters since the connection object was made, and where it stands. */
public data class Metrics(
    /** Connections that were made, the first included. */
    val connections: Long,
    /** Those that replaced a lost one. */
    val reconnections: Long,
    /** Transports that were replaced with nothing missing. */
    val resumes: Long,
    /** Attempts after one that failed. */
    val retries: Long,
    /** Messages written. */
    val messagesSent: Long,
    /** Messages read. */
    val messagesReceived: Long,
    /** Messages that came again and were not handed out again. */
    val duplicatesDropped: Long,
    /** Times that messages were lost for good. */
    val gaps: Long,
    /** Messages acknowledged. */
    val acknowledged: Long,
    /** Messages refused. */
    val nacked: Long,
    /** Messages that could not be read. */
    val malformed: Long,
    /** Times that missing messages were asked for. */
    val recoveries: Long,
    /** Times that whole objects were asked for. */
    val snapshots: Long,
    /** How long the last connection took to be made. */
    val connectLatency: Duration?,
    /** What waits. */
    val outbox: OutboxProgress,
    /** How good the connection is. */
    val quality: Quality,
)
