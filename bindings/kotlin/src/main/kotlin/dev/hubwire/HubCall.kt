package dev.hubwire

import dev.hubwire.internal.Codec
import dev.hubwire.internal.resultOf
import kotlinx.coroutines.CompletableDeferred
import kotlinx.serialization.KSerializer
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonElement

/** A call that was made: see [call]. It goes on if nobody waits for it. */
public class HubCall<R> internal constructor(
    private val target: String,
    private val serializer: KSerializer<R>,
    private val codec: Codec,
) {
    internal val result = CompletableDeferred<ByteArray?>()
    internal val accepted = CompletableDeferred<Unit>()
    internal var cancelCall: () -> Unit = {}

    /**
     * Returns when the call was handed over to the connection, or waits in the outbox; for a durable one, when it is
     * safe in the store. Throws as [await] if it comes to nothing before.
     */
    public suspend fun accepted(): Unit = accepted.await()

    /** Waits for the end of the call. Cancelling the wait does not cancel the call. */
    public suspend fun await(): R = codec.resultOf(target, serializer, result.await())

    /** Takes the call back: it ends with [HubException.Cancelled]. Does nothing once it has ended. */
    public fun cancel(): Unit = cancelCall()
}

/** A durable call that an earlier process left in the store. */
public class RestoredCall internal constructor(
    /** The method. */
    public val target: String,
    private val result: CompletableDeferred<ByteArray?>,
    private val cancelCall: () -> Unit,
) {
    /** Waits for its end; null if it gave nothing. */
    public suspend fun await(): JsonElement? =
        result.await()?.let { Json.parseToJsonElement(it.decodeToString()) }

    /** Takes the call back. */
    public fun cancel(): Unit = cancelCall()
}
