package dev.hubwire

import dev.hubwire.internal.Handler
import dev.hubwire.internal.Later
import dev.hubwire.internal.Link
import dev.hubwire.internal.StreamBuffer
import dev.hubwire.internal.ffi.CallKind
import dev.hubwire.internal.ffi.Connection
import dev.hubwire.internal.millis
import dev.hubwire.internal.resultOf
import dev.hubwire.internal.toPublic
import dev.hubwire.internal.toWire
import kotlin.time.Duration
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.ensureActive
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.SharedFlow
import kotlinx.coroutines.flow.StateFlow
import kotlinx.coroutines.flow.asSharedFlow
import kotlinx.coroutines.flow.asStateFlow
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.withContext
import kotlinx.serialization.KSerializer

/** Takes back a registration of a handler. */
public fun interface Registration {
    /** The handler is not run any more; one that is running is not interrupted. */
    public fun cancel()
}

/**
 * A connection to a hub.
 *
 * ```
 * val connection = HubConnection("https://example.org/hubs/chat") { accessToken { tokens.current() } }
 * connection.on("ReceiveMessage") { message: ChatMessage -> show(message) }
 * connection.start()
 * val sum: Int = connection.invoke("Add", 1, 2)
 * ```
 *
 * Handlers run one at a time and in order, each to its end before the next, on the dispatcher of the options. Results,
 * items and states do not wait for them: a handler may call the connection and wait.
 *
 * Everything may be used from any thread. A connection that is not [close]d and not held by anybody goes on until it
 * is stopped; then it is collected.
 */
public class HubConnection(url: String, configure: HubConnectionOptions.() -> Unit = {}) : AutoCloseable, HintSink {
    private val link = Link(url, HubConnectionOptions().apply(configure))

    /** Where the connection stands. */
    public val state: StateFlow<ConnectionState> = link.lifecycle.state.asStateFlow()

    /** Every change of the state, with what made it. Who is more than 1,024 behind misses the oldest. */
    public val stateChanges: Flow<StateChange> = link.lifecycle.changes.asSharedFlow()

    /** What else happens. Who is more than 1,024 behind misses the oldest. */
    public val events: SharedFlow<HubEvent> = link.lifecycle.events.asSharedFlow()

    /** The id that the server knows the connection by; null while it is not connected, or without negotiation. */
    public val connectionId: String? get() = link.lifecycle.connectionId

    /** What waits for a connection. Changes come as [HubEvent.OutboxChanged]. */
    public val outbox: OutboxProgress get() = link.lifecycle.outbox

    /** How good the connection is. Changes come as [HubEvent.QualityChanged]. */
    public val quality: Quality get() = link.lifecycle.quality

    /** How many calls have not ended. */
    public val pendingCalls: Int get() = link.calls.size

    /** Whether any handler is registered. */
    public val isListening: Boolean get() = !link.handlers.isEmpty

    /** Connects; returns when that is done. Cancelling it stops the attempt. Throws why it came to nothing. */
    public suspend fun start(): Unit = link.lifecycle.start()

    /**
     * Disconnects, behind what was asked for before; returns when that is done. No handler starts after this was
     * called; calls that have not ended fail. The connection can be started again.
     */
    public suspend fun stop(): Unit = link.lifecycle.stop()

    /** Disconnects, and lets go of everything. Calls that have not ended fail. */
    override fun close(): Unit = link.close()

    /** Calls a hub method and waits for its result. Cancelling it cancels the call. */
    public suspend inline fun <reified R> invoke(target: String, arguments: HubArguments): R =
        invoke(target, arguments, serializerOf<R>())

    /** As the other, for results whose type is not known when this is compiled. */
    public suspend fun <R> invoke(target: String, arguments: HubArguments, result: KSerializer<R>): R =
        link.codec.resultOf(target, result, link.calls.run(CallKind.INVOKE, target, arguments, null))

    /** Calls a hub method and waits for its end, whatever its result. Cancelling it cancels the call. */
    public suspend fun perform(target: String, arguments: HubArguments) {
        link.calls.run(CallKind.INVOKE, target, arguments, null)
    }

    /** Calls a hub method without waiting: returns when the call was sent, or has failed to be. */
    public suspend fun send(target: String, arguments: HubArguments) {
        link.calls.run(CallKind.SEND, target, arguments, null)
    }

    /** Makes a call with everything that may be said of it, and gives what can be done with it. */
    public inline fun <reified R> call(
        target: String,
        arguments: HubArguments = args(),
        noinline configure: CallOptions.() -> Unit = {},
    ): HubCall<R> = call(target, arguments, serializerOf<R>(), configure)

    /** As the other, for results whose type is not known when this is compiled. */
    public fun <R> call(
        target: String,
        arguments: HubArguments,
        result: KSerializer<R>,
        configure: CallOptions.() -> Unit,
    ): HubCall<R> {
        val options = CallOptions().apply(configure)
        val made = HubCall(target, result, link.codec)
        val pending = Later(link, made.result) { error ->
            if (error == null) made.accepted.complete(Unit) else made.accepted.completeExceptionally(error)
        }
        val wasConnected = state.value == ConnectionState.Connected
        try {
            val kind = if (options.awaitResult) CallKind.INVOKE else CallKind.SEND
            val id = link.calls.make(kind, target, arguments, options, pending)
            made.cancelCall = { link.calls.cancel(id) }
            if (wasConnected && !options.durable) {
                made.accepted.complete(Unit)
            }
        } catch (error: HubException) {
            pending.failed(error)
        }
        return made
    }

    /**
     * Calls a hub method that streams, each time the flow is collected. Ending the collection early cancels the
     * stream on the server. Items wait for the collector: see [StreamOptions].
     */
    public inline fun <reified T> stream(
        target: String,
        arguments: HubArguments,
        noinline configure: StreamOptions.() -> Unit = {},
    ): Flow<T> = stream(target, arguments, serializerOf<T>(), configure)

    /** As the other, for items whose type is not known when this is compiled. */
    public fun <T> stream(
        target: String,
        arguments: HubArguments,
        item: KSerializer<T>,
        configure: StreamOptions.() -> Unit,
    ): Flow<T> = flow {
        currentCoroutineContext().ensureActive()
        val options = StreamOptions().apply(configure)
        if (options.bufferSize < 1) {
            throw HubException.Misuse("The option 'bufferSize' must be at least 1: ${options.bufferSize}.")
        }
        val buffer = StreamBuffer(link, options.bufferSize, options.holdBack)
        val id = link.calls.make(CallKind.STREAM, target, arguments, options, buffer)
        buffer.bind { link.calls.cancel(id) }
        var items = emptyList<StreamBuffer.Item>()
        // What is before this was let go of.
        var next = 0
        try {
            while (true) {
                items = buffer.take() ?: break
                next = 0
                while (next < items.size) {
                    emit(link.codec.decode({ "An item of '$target'" }, item, items[next].value))
                    buffer.taken(items[next++])
                }
            }
        } finally {
            while (next < items.size) {
                buffer.taken(items[next++])
            }
            buffer.abandon()
            // Does nothing if it has ended.
            link.calls.cancel(id)
        }
    }

    /**
     * Runs [action] with the arguments when the server calls [target]; the case of names does not matter. Several
     * handlers run in the order of their registration. What [action] gives is the answer if [result] is there.
     * Applications use [on] and [onRequest], which know the types.
     */
    public fun register(
        target: String,
        parameters: List<KSerializer<*>>,
        result: KSerializer<*>?,
        action: suspend (Array<Any?>) -> Any?,
    ): Registration {
        if (target.isEmpty()) {
            throw HubException.Misuse("A handler needs the name of a method.")
        }
        val handler = Handler(parameters, result, action)
        link.handlers.add(target, handler)
        return Registration { link.handlers.remove(target, handler) }
    }

    /** Acknowledges a message of a target with [AckMode.Manual]. */
    public fun acknowledge(messageId: String): Unit = link.native { acknowledge(messageId) }

    /** Refuses a message of a target with [AckMode.Manual]. */
    public fun nack(messageId: String, reason: String): Unit = link.native { nack(messageId, reason) }

    /** Tells what the platform knows: see [PlatformHints]. */
    override fun hint(hint: Hint): Unit = link.quietly { hint(hint.toWire()) }

    /** Counters of this connection object. */
    public suspend fun metrics(): Metrics = apart { metrics() }.toPublic()

    /** Where the connection stands in streams with history, for [HubConnectionOptions.positions] of a later one. */
    public suspend fun positions(): List<String> = apart { positions() }

    /** The durable calls of earlier processes; empty without a path for the outbox. Waits until it was read. */
    public suspend fun restoredCalls(): List<RestoredCall> = link.restored.calls.await()

    /** Changes the address or times of later connections; what is null stays. */
    public fun configure(
        url: String? = null,
        keepAliveInterval: Duration? = null,
        serverTimeout: Duration? = null,
    ): Unit = link.native { configure(url, keepAliveInterval?.millis(), serverTimeout?.millis()) }

    /** Until it was closed, and everything has ended. */
    @PublishedApi
    internal suspend fun awaitEnd(): Unit = link.lifecycle.ended.join()

    /** What the library answers while it holds its reader: nobody's code may go on there. */
    private suspend fun <T> apart(command: suspend Connection.() -> T): T =
        withContext(Dispatchers.Default) { link.native { command() } }
}
