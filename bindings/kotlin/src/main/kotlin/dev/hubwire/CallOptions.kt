package dev.hubwire

import kotlin.time.Duration

/** What leaves the outbox first. */
public enum class Priority {
    Low,
    Normal,
    High,
    Critical,
}

/** What may be said of any call. */
public sealed class CommonCallOptions {
    /** The longest time from making the call to its end. Past it: [HubException.Timeout]. */
    public var timeout: Duration? = null

    /** A call that still waits in the outbox then is given up. */
    public var expiresAfter: Duration? = null

    /** What leaves the outbox first; calls of one priority keep their order. */
    public var priority: Priority = Priority.Normal

    /** The method may run twice: the call is made again if its outcome is unknown. */
    public var idempotent: Boolean = false

    /** Without a connection: wait for one (unless the outbox is off), or fail at once. */
    public var queue: Boolean = true
}

/** Options of [call]. */
public class CallOptions : CommonCallOptions() {
    /** Takes the place of the queued call with the same key. */
    public var supersedeKey: String? = null

    /** It is in the store before it is accepted, and outlives the process. Needs a path for the outbox. */
    public var durable: Boolean = false

    /** False for a call that the server does not answer: it ends when it was sent. */
    public var awaitResult: Boolean = true
}

/** Options of [stream]. */
public class StreamOptions : CommonCallOptions() {
    /** How many items may wait for their reader; one more fails the stream with [HubException.Overflow]. */
    public var bufferSize: Int = 10_000

    /**
     * Instead of a bound on items: while 8 MiB of them were not read, nothing is read from the socket, so the server
     * feels how slow the reader is. All of the connection waits then: a reader that calls the hub between two items
     * may wait for itself.
     */
    public var holdBack: Boolean = false
}
