package dev.hubwire

import kotlinx.coroutines.flow.Flow

// Arguments by position, up to eight: their types are those of the values, the type of the result is what the call is
// assigned to. `val sum: Int = connection.invoke("Add", 1, 2)`

/** Calls a hub method and waits for its result. */
public suspend inline fun <reified R> HubConnection.invoke(target: String): R =
    invoke(target, args())

/** Calls a hub method and waits for its result. */
public suspend inline fun <reified R, reified A1> HubConnection.invoke(target: String, a1: A1): R =
    invoke(target, args(a1))

/** Calls a hub method and waits for its result. */
public suspend inline fun <reified R, reified A1, reified A2> HubConnection.invoke(
    target: String,
    a1: A1,
    a2: A2,
): R =
    invoke(target, args(a1, a2))

/** Calls a hub method and waits for its result. */
public suspend inline fun <reified R, reified A1, reified A2, reified A3> HubConnection.invoke(
    target: String,
    a1: A1,
    a2: A2,
    a3: A3,
): R =
    invoke(target, args(a1, a2, a3))

/** Calls a hub method and waits for its result. */
public suspend inline fun <reified R, reified A1, reified A2, reified A3, reified A4> HubConnection.invoke(
    target: String,
    a1: A1,
    a2: A2,
    a3: A3,
    a4: A4,
): R =
    invoke(target, args(a1, a2, a3, a4))

/** Calls a hub method and waits for its result. */
public suspend inline fun <reified R, reified A1, reified A2, reified A3, reified A4, reified A5> HubConnection.invoke(
    target: String,
    a1: A1,
    a2: A2,
    a3: A3,
    a4: A4,
    a5: A5,
): R =
    invoke(target, args(a1, a2, a3, a4, a5))

/** Calls a hub method and waits for its result. */
public suspend inline fun <reified R, reified A1, reified A2, reified A3, reified A4, reified A5, reified A6> HubConnection.invoke(
    target: String,
    a1: A1,
    a2: A2,
    a3: A3,
    a4: A4,
    a5: A5,
    a6: A6,
): R =
    invoke(target, args(a1, a2, a3, a4, a5, a6))

/** Calls a hub method and waits for its result. */
public suspend inline fun <reified R, reified A1, reified A2, reified A3, reified A4, reified A5, reified A6, reified A7> HubConnection.invoke(
    target: String,
    a1: A1,
    a2: A2,
    a3: A3,
    a4: A4,
    a5: A5,
    a6: A6,
    a7: A7,
): R =
    invoke(target, args(a1, a2, a3, a4, a5, a6, a7))

/** Calls a hub method and waits for its result. */
public suspend inline fun <reified R, reified A1, reified A2, reified A3, reified A4, reified A5, reified A6, reified A7, reified A8> HubConnection.invoke(
    target: String,
    a1: A1,
    a2: A2,
    a3: A3,
    a4: A4,
    a5: A5,
    a6: A6,
    a7: A7,
    a8: A8,
): R =
    invoke(target, args(a1, a2, a3, a4, a5, a6, a7, a8))

/** Calls a hub method and waits for its end, whatever its result. */
public suspend fun HubConnection.perform(target: String): Unit =
    perform(target, args())

/** Calls a hub method and waits for its end, whatever its result. */
public suspend inline fun <reified A1> HubConnection.perform(target: String, a1: A1): Unit =
    perform(target, args(a1))

/** Calls a hub method and waits for its end, whatever its result. */
public suspend inline fun <reified A1, reified A2> HubConnection.perform(target: String, a1: A1, a2: A2): Unit =
    perform(target, args(a1, a2))

/** Calls a hub method and waits for its end, whatever its result. */
public suspend inline fun <reified A1, reified A2, reified A3> HubConnection.perform(
    target: String,
    a1: A1,
    a2: A2,
    a3: A3,
): Unit =
    perform(target, args(a1, a2, a3))

/** Calls a hub method and waits for its end, whatever its result. */
public suspend inline fun <reified A1, reified A2, reified A3, reified A4> HubConnection.perform(
    target: String,
    a1: A1,
    a2: A2,
    a3: A3,
    a4: A4,
): Unit =
    perform(target, args(a1, a2, a3, a4))

/** Calls a hub method and waits for its end, whatever its result. */
public suspend inline fun <reified A1, reified A2, reified A3, reified A4, reified A5> HubConnection.perform(
    target: String,
    a1: A1,
    a2: A2,
    a3: A3,
    a4: A4,
    a5: A5,
): Unit =
    perform(target, args(a1, a2, a3, a4, a5))

/** Calls a hub method and waits for its end, whatever its result. */
public suspend inline fun <reified A1, reified A2, reified A3, reified A4, reified A5, reified A6> HubConnection.perform(
    target: String,
    a1: A1,
    a2: A2,
    a3: A3,
    a4: A4,
    a5: A5,
    a6: A6,
): Unit =
    perform(target, args(a1, a2, a3, a4, a5, a6))

/** Calls a hub method and waits for its end, whatever its result. */
public suspend inline fun <reified A1, reified A2, reified A3, reified A4, reified A5, reified A6, reified A7> HubConnection.perform(
    target: String,
    a1: A1,
    a2: A2,
    a3: A3,
    a4: A4,
    a5: A5,
    a6: A6,
    a7: A7,
): Unit =
    perform(target, args(a1, a2, a3, a4, a5, a6, a7))

/** Calls a hub method and waits for its end, whatever its result. */
public suspend inline fun <reified A1, reified A2, reified A3, reified A4, reified A5, reified A6, reified A7, reified A8> HubConnection.perform(
    target: String,
    a1: A1,
    a2: A2,
    a3: A3,
    a4: A4,
    a5: A5,
    a6: A6,
    a7: A7,
    a8: A8,
): Unit =
    perform(target, args(a1, a2, a3, a4, a5, a6, a7, a8))

/** Calls a hub method without waiting: returns when the call was sent. */
public suspend fun HubConnection.send(target: String): Unit =
    send(target, args())

/** Calls a hub method without waiting: returns when the call was sent. */
public suspend inline fun <reified A1> HubConnection.send(target: String, a1: A1): Unit =
    send(target, args(a1))

/** Calls a hub method without waiting: returns when the call was sent. */
public suspend inline fun <reified A1, reified A2> HubConnection.send(target: String, a1: A1, a2: A2): Unit =
    send(target, args(a1, a2))

/** Calls a hub method without waiting: returns when the call was sent. */
public suspend inline fun <reified A1, reified A2, reified A3> HubConnection.send(
    target: String,
    a1: A1,
    a2: A2,
    a3: A3,
): Unit =
    send(target, args(a1, a2, a3))

/** Calls a hub method without waiting: returns when the call was sent. */
public suspend inline fun <reified A1, reified A2, reified A3, reified A4> HubConnection.send(
    target: String,
    a1: A1,
    a2: A2,
    a3: A3,
    a4: A4,
): Unit =
    send(target, args(a1, a2, a3, a4))

/** Calls a hub method without waiting: returns when the call was sent. */
public suspend inline fun <reified A1, reified A2, reified A3, reified A4, reified A5> HubConnection.send(
    target: String,
    a1: A1,
    a2: A2,
    a3: A3,
    a4: A4,
    a5: A5,
): Unit =
    send(target, args(a1, a2, a3, a4, a5))

/** Calls a hub method without waiting: returns when the call was sent. */
public suspend inline fun <reified A1, reified A2, reified A3, reified A4, reified A5, reified A6> HubConnection.send(
    target: String,
    a1: A1,
    a2: A2,
    a3: A3,
    a4: A4,
    a5: A5,
    a6: A6,
): Unit =
    send(target, args(a1, a2, a3, a4, a5, a6))

/** Calls a hub method without waiting: returns when the call was sent. */
public suspend inline fun <reified A1, reified A2, reified A3, reified A4, reified A5, reified A6, reified A7> HubConnection.send(
    target: String,
    a1: A1,
    a2: A2,
    a3: A3,
    a4: A4,
    a5: A5,
    a6: A6,
    a7: A7,
): Unit =
    send(target, args(a1, a2, a3, a4, a5, a6, a7))

/** Calls a hub method without waiting: returns when the call was sent. */
public suspend inline fun <reified A1, reified A2, reified A3, reified A4, reified A5, reified A6, reified A7, reified A8> HubConnection.send(
    target: String,
    a1: A1,
    a2: A2,
    a3: A3,
    a4: A4,
    a5: A5,
    a6: A6,
    a7: A7,
    a8: A8,
): Unit =
    send(target, args(a1, a2, a3, a4, a5, a6, a7, a8))

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
public inline fun <reified T, reified A1, reified A2, reified A3, reified A4, reified A5, reified A6> HubConnection.stream(
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
public inline fun <reified T, reified A1, reified A2, reified A3, reified A4, reified A5, reified A6, reified A7> HubConnection.stream(
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
public inline fun <reified T, reified A1, reified A2, reified A3, reified A4, reified A5, reified A6, reified A7, reified A8> HubConnection.stream(
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
