package dev.hubwire

import kotlinx.coroutines.flow.Flow

// As in CallOverloads.kt: arguments by position.

/** Calls a hub method that streams, each time the flow is collected; see [stream]. */
public inline fun <reified T> HubConnection.stream(target: String): Flow<T> =
    stream(target, args())

/** Calls a hub method that streams, each time the flow is collected; see [stream]. */
public inline fun <reified T, reified A1> HubConnection.stream(target: String, a1: A1): Flow<T> =
    stream(target, args(a1))

/** Calls a hub method that streams, each time the flow is collected; see [stream]. */
public inline fun <reified T, reified A1, reified A2> HubConnection.stream(target: String, a1: A1, a2: A2): Flow<T> =
    stream(target, args(a1, a2))

/** Calls a hub method that streams, each time the flow is collected; see [stream]. */
public inline fun <reified T, reified A1, reified A2, reified A3> HubConnection.stream(
    target: String,
    a1: A1,
    a2: A2,
    a3: A3,
): Flow<T> =
    stream(target, args(a1, a2, a3))

/** Calls a hub method that streams, each time the flow is collected; see [stream]. */
public inline fun <reified T, reified A1, reified A2, reified A3, reified A4> HubConnection.stream(
    target: String,
    a1: A1,
    a2: A2,
    a3: A3,
    a4: A4,
): Flow<T> =
    stream(target, args(a1, a2, a3, a4))

/** Calls a hub method that streams, each time the flow is collected; see [stream]. */
public inline fun <reified T, reified A1, reified A2, reified A3, reified A4, reified A5> HubConnection.stream(
    target: String,
    a1: A1,
    a2: A2,
    a3: A3,
    a4: A4,
    a5: A5,
): Flow<T> =
    stream(target, args(a1, a2, a3, a4, a5))

/** Calls a hub method that streams, each time the flow is collected; see [stream]. */
public inline fun <
    reified T,
    reified A1,
    reified A2,
    reified A3,
    reified A4,
    reified A5,
    reified A6,
> HubConnection.stream(
    target: String,
    a1: A1,
    a2: A2,
    a3: A3,
    a4: A4,
    a5: A5,
    a6: A6,
): Flow<T> =
    stream(target, args(a1, a2, a3, a4, a5, a6))

/** Calls a hub method that streams, each time the flow is collected; see [stream]. */
public inline fun <
    reified T,
    reified A1,
    reified A2,
    reified A3,
    reified A4,
    reified A5,
    reified A6,
    reified A7,
> HubConnection.stream(
    target: String,
    a1: A1,
    a2: A2,
    a3: A3,
    a4: A4,
    a5: A5,
    a6: A6,
    a7: A7,
): Flow<T> =
    stream(target, args(a1, a2, a3, a4, a5, a6, a7))

/** Calls a hub method that streams, each time the flow is collected; see [stream]. */
public inline fun <
    reified T,
    reified A1,
    reified A2,
    reified A3,
    reified A4,
    reified A5,
    reified A6,
    reified A7,
    reified A8,
> HubConnection.stream(
    target: String,
    a1: A1,
    a2: A2,
    a3: A3,
    a4: A4,
    a5: A5,
    a6: A6,
    a7: A7,
    a8: A8,
): Flow<T> =
    stream(target, args(a1, a2, a3, a4, a5, a6, a7, a8))
