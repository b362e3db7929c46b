package dev.hubwire

import kotlinx.coroutines.channels.awaitClose
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.callbackFlow

/**
 * The first arguments of the calls of [target], while the flow is collected. A message counts as handled when it is in
 * the buffer of the flow, which has room for 64; with more than that the other messages of the connection wait, too.
 */
public inline fun <reified T> HubConnection.messages(target: String): Flow<T> = callbackFlow {
    val registration = on(target) { value: T -> send(value) }
    awaitClose { registration.cancel() }
}

/** Feeds the connection with what the platform knows, until it is detached. */
public fun HubConnection.attach(hints: PlatformHints): Detachable = hints.attach(this)
