package dev.hubwire

import kotlin.time.Duration
import kotlinx.coroutines.CoroutineDispatcher
import kotlinx.coroutines.Dispatchers
import kotlinx.serialization.json.Json

/** How messages travel. */
public enum class HubProtocol {
    Json,
    MessagePack,
}

/** What carries the messages. */
public enum class Transport {
    WebSockets,
    ServerSentEvents,
    LongPolling,
}

/** Who acknowledges messages. */
public enum class AckMode {
    /** The client, when the handlers have ended. */
    Auto,

    /** The application, with `acknowledge` and `nack`. */
    Manual,

    /** Nobody. */
    Off,
}

/** What happens to a call that does not fit into the outbox. */
public enum class FullPolicy {
    /** It fails with [HubException.Overflow]. */
    Reject,

    /** The oldest fails instead. */
    DropOldest,

    /** It is dropped: the newest fails. */
    DropNewest,
}

/** Marks the blocks in which a connection is configured. */
@DslMarker
public annotation class HubwireDsl

/** A method that joins something, called again after a new connection, and the one that leaves it. */
public data class JoinMethod(val join: String, val leave: String? = null)

/** Everything that a connection is told once. What is null has the default of the core. */
@HubwireDsl
public class HubConnectionOptions internal constructor() {
    /** How messages travel. */
    public var protocol: HubProtocol = HubProtocol.Json

    /** The transports that may be used; all unless set. The order is that of the server. */
    public var transports: Set<Transport>? = null

    /** Connects the WebSocket at once. */
    public var skipNegotiation: Boolean = false

    /**
     * Where handlers, policies and factories run. Handlers of one connection run one at a time on any.
     *
     * With [Dispatchers.Unconfined] they run on the one thread that reads for all connections of the process, and so do
     * coroutines of the application that have no dispatcher. That saves waking another thread for a message that comes
     * alone, and is for handlers that are done at once: while one runs, nothing is read and no call comes back, so one
     * that waits in `runBlocking` for a call waits forever.
     */
    public var dispatcher: CoroutineDispatcher = Dispatchers.Default

    /** How arguments and results are written and read. Both encodings use it. */
    public var json: Json = DefaultJson

    /** The longest silence of the client; 15 s. */
    public var keepAliveInterval: Duration? = null

    /** The longest silence of the server; 30 s. */
    public var serverTimeout: Duration? = null

    /** For the handshake response; 15 s. */
    public var handshakeTimeout: Duration? = null

    /** For the token, negotiating and opening, each. */
    public var requestTimeout: Duration? = null

    /** For closing in order. */
    public var closeTimeout: Duration? = null

    /** From making a call to its end; no limit unless set. */
    public var callTimeout: Duration? = null

    /** Asks for stateful reconnect, with that room in bytes. */
    public var statefulReconnect: Long? = null

    /** When to try again; [RetrySchedule.fullJitter] unless set. */
    public var retry: RetrySchedule? = null

    /** Draws every delay between zero and that of the schedule. Full jitter always does. */
    public var retryJitter: Boolean? = null

    /** Whether a first start that fails is tried again; true for full jitter, else false. */
    public var retryFirstStart: Boolean? = null

    /** After how many attempts to give up. */
    public var maxRetries: Int? = null

    /** Where an earlier connection stood in streams with history: see [HubConnection.positions]. */
    public var positions: List<String> = emptyList()

    /** A hub method without arguments that answers at once, to measure the quality. */
    public var pingMethod: String? = null

    /** Who the client is over several connections. */
    public var sessionId: String? = null

    /** Whether the server is told that this client understands its extensions; true unless set. */
    public var announce: Boolean? = null

    /** The largest message that is accepted, in bytes. */
    public var maxMessageSize: Long? = null

    /** The URL of a proxy; empty for none, whatever the environment says. */
    public var proxy: String? = null

    /** Certificates of authorities to trust beside the well-known ones, each a PEM text. */
    public var rootCertificates: List<String> = emptyList()

    internal var tokenFactory: (suspend () -> String?)? = null
    internal var tokenRefresh: Boolean = false
    internal val headers = mutableListOf<Pair<String, String>>()
    internal val joins = mutableListOf<JoinMethod>()
    internal var outbox: OutboxOptions? = null
    internal var delivery: DeliveryOptions? = null

    /**
     * Gives the access token of every request and connection. With [refresh] it is refreshed in place where the
     * server can do that.
     */
    public fun accessToken(refresh: Boolean = false, factory: suspend () -> String?) {
        tokenFactory = factory
        tokenRefresh = refresh
    }

    /** Sends a header with every HTTP request. */
    public fun header(name: String, value: String) {
        headers += name to value
    }

    /** Calls of [join] are made again after a new connection, until [leave] was called with the same arguments. */
    public fun rejoin(join: String, leave: String? = null) {
        joins += JoinMethod(join, leave)
    }

    /** What may wait for a connection. */
    public fun outbox(configure: OutboxOptions.() -> Unit) {
        outbox = (outbox ?: OutboxOptions()).apply(configure)
    }

    /** What happens between the server and the handlers. */
    public fun delivery(configure: DeliveryOptions.() -> Unit) {
        delivery = (delivery ?: DeliveryOptions()).apply(configure)
    }

    internal companion object {
        val DefaultJson = Json {
            ignoreUnknownKeys = true
            encodeDefaults = true
        }
    }
}

/** What may wait for a connection. */
@HubwireDsl
public class OutboxOptions internal constructor() {
    /** How many calls; 10,000. 0 turns the outbox off. */
    public var maxItems: Long? = null

    /** About how many bytes they may have; 16 MiB. */
    public var maxBytes: Long? = null

    /** How many queued calls may be without completion while the queue is emptied; 256. */
    public var window: Long? = null

    /** What happens to one more; [FullPolicy.Reject]. */
    public var whenFull: FullPolicy? = null

    /** The path of a file for durable calls, which outlive the process. One connection at a time uses it. */
    public var path: String? = null
}

/** What happens between the server and the handlers. */
@HubwireDsl
public class DeliveryOptions internal constructor() {
    /** Who acknowledges, where nothing is said of the target; [AckMode.Auto]. */
    public var acks: AckMode? = null

    /** How long acknowledgements are collected. */
    public var ackDelay: Duration? = null

    /** How many handled messages are recognised when they come again. */
    public var ackWindow: Long? = null

    /** How many messages may be with handlers at one time. */
    public var maxUnacknowledged: Long? = null

    /** Whether batches become messages. */
    public var unpackBatches: Boolean? = null

    /** Whether changes are merged into objects. */
    public var mergeDeltas: Boolean? = null

    /** The members that may name the object of a change. */
    public var deltaKeys: List<String>? = null

    /** How many objects are kept. */
    public var maxObjects: Long? = null

    /** How many bytes they may have. */
    public var maxObjectBytes: Long? = null

    /** How many changes of one object wait for it. */
    public var maxHeldDeltas: Long? = null

    /** Of how many streams the position is remembered. */
    public var maxStreams: Long? = null

    internal val targets = mutableListOf<Pair<String, AckMode>>()

    /** Who acknowledges the messages of one method. */
    public fun target(name: String, mode: AckMode) {
        targets += name to mode
    }
}
