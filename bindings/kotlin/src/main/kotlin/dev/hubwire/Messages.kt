package dev.hubwire

import kotlinx.coroutines.channels.awaitClose
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.callbackFlow
import kotlinx.coroutines.launch

/**
 * The first arguments of the calls of [target], while the flow is collected; it ends when the connection is closed. A
 * message counts as handled when it is in the buffer of the flow, which has room for 64; with more than that the other
 * messages of the connection wait, too.
 */
public inline fun <reified T> HubConnection.messages(target: String): Flow<T> = callbackFlow {
    val registration = on(target) { value: T -> send(value) }
    launch {
        awaitEnd()
        channel.close()
    }
    awaitClose { registration.cancel() }
}

/** Feeds the connection with what the platform knows, until it is detached. */
public fun HubConnection.attach(hints: PlatformHints): Detachable = hints.attach(this)
