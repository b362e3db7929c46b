package dev.hubwire

// Handlers with up to eight arguments.

/** Runs [handler] when the server calls [target]: see [HubConnection.register]. */
public fun HubConnection.on(
    target: String,
    handler: suspend () -> Unit,
): Registration =
    register(target, emptyList(), null) { handler() }

/** Runs [handler] when the server calls [target]: see [HubConnection.register]. */
public inline fun <reified A1> HubConnection.on(
    target: String,
    crossinline handler: suspend (A1) -> Unit,
): Registration =
    register(target, listOf(serializerOf<A1>()), null) { handler(it[0] as A1) }

/** Runs [handler] when the server calls [target]: see [HubConnection.register]. */
public inline fun <reified A1, reified A2> HubConnection.on(
    target: String,
    crossinline handler: suspend (A1, A2) -> Unit,
): Registration =
    register(target, listOf(serializerOf<A1>(), serializerOf<A2>()), null) { handler(it[0] as A1, it[1] as A2) }

/** Runs [handler] when the server calls [target]: see [HubConnection.register]. */
public inline fun <reified A1, reified A2, reified A3> HubConnection.on(
    target: String,
    crossinline handler: suspend (A1, A2, A3) -> Unit,
): Registration =
    register(
        target,
        listOf(
            serializerOf<A1>(),
            serializerOf<A2>(),
            serializerOf<A3>(),
        ),
        null,
    ) {
        handler(
            it[0] as A1,
            it[1] as A2,
            it[2] as A3,
        )
    }

/** Runs [handler] when the server calls [target]: see [HubConnection.register]. */
public inline fun <reified A1, reified A2, reified A3, reified A4> HubConnection.on(
    target: String,
    crossinline handler: suspend (A1, A2, A3, A4) -> Unit,
): Registration =
    register(
        target,
        listOf(
            serializerOf<A1>(),
            serializerOf<A2>(),
            serializerOf<A3>(),
            serializerOf<A4>(),
        ),
        null,
    ) {
        handler(
            it[0] as A1,
            it[1] as A2,
            it[2] as A3,
            it[3] as A4,
        )
    }

/** Runs [handler] when the server calls [target]: see [HubConnection.register]. */
public inline fun <reified A1, reified A2, reified A3, reified A4, reified A5> HubConnection.on(
    target: String,
    crossinline handler: suspend (A1, A2, A3, A4, A5) -> Unit,
): Registration =
    register(
        target,
        listOf(
            serializerOf<A1>(),
            serializerOf<A2>(),
            serializerOf<A3>(),
            serializerOf<A4>(),
            serializerOf<A5>(),
        ),
        null,
    ) {
        handler(
            it[0] as A1,
            it[1] as A2,
            it[2] as A3,
            it[3] as A4,
            it[4] as A5,
        )
    }

/** Runs [handler] when the server calls [target]: see [HubConnection.register]. */
public inline fun <reified A1, reified A2, reified A3, reified A4, reified A5, reified A6> HubConnection.on(
    target: String,
    crossinline handler: suspend (A1, A2, A3, A4, A5, A6) -> Unit,
): Registration =
    register(
        target,
        listOf(
            serializerOf<A1>(),
            serializerOf<A2>(),
            serializerOf<A3>(),
            serializerOf<A4>(),
            serializerOf<A5>(),
            serializerOf<A6>(),
        ),
        null,
    ) {
        handler(
            it[0] as A1,
            it[1] as A2,
            it[2] as A3,
            it[3] as A4,
            it[4] as A5,
            it[5] as A6,
        )
    }

/** Runs [handler] when the server calls [target]: see [HubConnection.register]. */
public inline fun <reified A1, reified A2, reified A3, reified A4, reified A5, reified A6, reified A7> HubConnection.on(
    target: String,
    crossinline handler: suspend (A1, A2, A3, A4, A5, A6, A7) -> Unit,
): Registration =
    register(
        target,
        listOf(
            serializerOf<A1>(),
            serializerOf<A2>(),
            serializerOf<A3>(),
            serializerOf<A4>(),
            serializerOf<A5>(),
            serializerOf<A6>(),
            serializerOf<A7>(),
        ),
        null,
    ) {
        handler(
            it[0] as A1,
            it[1] as A2,
            it[2] as A3,
            it[3] as A4,
            it[4] as A5,
            it[5] as A6,
            it[6] as A7,
        )
    }

/** Runs [handler] when the server calls [target]: see [HubConnection.register]. */
public inline fun <
    reified A1,
    reified A2,
    reified A3,
    reified A4,
    reified A5,
    reified A6,
    reified A7,
    reified A8,
> HubConnection.on(
    target: String,
    crossinline handler: suspend (A1, A2, A3, A4, A5, A6, A7, A8) -> Unit,
): Registration =
    register(
        target,
        listOf(
            serializerOf<A1>(),
            serializerOf<A2>(),
            serializerOf<A3>(),
            serializerOf<A4>(),
            serializerOf<A5>(),
            serializerOf<A6>(),
            serializerOf<A7>(),
            serializerOf<A8>(),
        ),
        null,
    ) {
        handler(
            it[0] as A1,
            it[1] as A2,
            it[2] as A3,
            it[3] as A4,
            it[4] as A5,
            it[5] as A6,
            it[6] as A7,
            it[7] as A8,
        )
    }

/** As [on]; what [handler] gives is the answer where the server waits for one. */
public inline fun <reified R> HubConnection.onRequest(
    target: String,
    crossinline handler: suspend () -> R,
): Registration =
    register(target, emptyList(), serializerOf<R>()) { handler() }

/** As [on]; what [handler] gives is the answer where the server waits for one. */
public inline fun <reified R, reified A1> HubConnection.onRequest(
    target: String,
    crossinline handler: suspend (A1) -> R,
): Registration =
    register(target, listOf(serializerOf<A1>()), serializerOf<R>()) { handler(it[0] as A1) }

/** As [on]; what [handler] gives is the answer where the server waits for one. */
public inline fun <reified R, reified A1, reified A2> HubConnection.onRequest(
    target: String,
    crossinline handler: suspend (A1, A2) -> R,
): Registration =
    register(target, listOf(serializerOf<A1>(), serializerOf<A2>()), serializerOf<R>()) {
        handler(it[0] as A1, it[1] as A2)
    }

/** As [on]; what [handler] gives is the answer where the server waits for one. */
public inline fun <reified R, reified A1, reified A2, reified A3> HubConnection.onRequest(
    target: String,
    crossinline handler: suspend (A1, A2, A3) -> R,
): Registration =
    register(
        target,
        listOf(
            serializerOf<A1>(),
            serializerOf<A2>(),
            serializerOf<A3>(),
        ),
        serializerOf<R>(),
    ) {
        handler(
            it[0] as A1,
            it[1] as A2,
            it[2] as A3,
        )
    }

/** As [on]; what [handler] gives is the answer where the server waits for one. */
public inline fun <reified R, reified A1, reified A2, reified A3, reified A4> HubConnection.onRequest(
    target: String,
    crossinline handler: suspend (A1, A2, A3, A4) -> R,
): Registration =
    register(
        target,
        listOf(
            serializerOf<A1>(),
            serializerOf<A2>(),
            serializerOf<A3>(),
            serializerOf<A4>(),
        ),
        serializerOf<R>(),
    ) {
        handler(
            it[0] as A1,
            it[1] as A2,
            it[2] as A3,
            it[3] as A4,
        )
    }

/** As [on]; what [handler] gives is the answer where the server waits for one. */
public inline fun <reified R, reified A1, reified A2, reified A3, reified A4, reified A5> HubConnection.onRequest(
    target: String,
    crossinline handler: suspend (A1, A2, A3, A4, A5) -> R,
): Registration =
    register(
        target,
        listOf(
            serializerOf<A1>(),
            serializerOf<A2>(),
            serializerOf<A3>(),
            serializerOf<A4>(),
            serializerOf<A5>(),
        ),
        serializerOf<R>(),
    ) {
        handler(
            it[0] as A1,
            it[1] as A2,
            it[2] as A3,
            it[3] as A4,
            it[4] as A5,
        )
    }

/** As [on]; what [handler] gives is the answer where the server waits for one. */
public inline fun <
    reified R,
    reified A1,
    reified A2,
    reified A3,
    reified A4,
    reified A5,
    reified A6,
> HubConnection.onRequest(
    target: String,
    crossinline handler: suspend (A1, A2, A3, A4, A5, A6) -> R,
): Registration =
    register(
        target,
        listOf(
            serializerOf<A1>(),
            serializerOf<A2>(),
            serializerOf<A3>(),
            serializerOf<A4>(),
            serializerOf<A5>(),
            serializerOf<A6>(),
        ),
        serializerOf<R>(),
    ) {
        handler(
            it[0] as A1,
            it[1] as A2,
            it[2] as A3,
            it[3] as A4,
            it[4] as A5,
            it[5] as A6,
        )
    }

/** As [on]; what [handler] gives is the answer where the server waits for one. */
public inline fun <
    reified R,
    reified A1,
    reified A2,
    reified A3,
    reified A4,
    reified A5,
    reified A6,
    reified A7,
> HubConnection.onRequest(
    target: String,
    crossinline handler: suspend (A1, A2, A3, A4, A5, A6, A7) -> R,
): Registration =
    register(
        target,
        listOf(
            serializerOf<A1>(),
            serializerOf<A2>(),
            serializerOf<A3>(),
            serializerOf<A4>(),
            serializerOf<A5>(),
            serializerOf<A6>(),
            serializerOf<A7>(),
        ),
        serializerOf<R>(),
    ) {
        handler(
            it[0] as A1,
            it[1] as A2,
            it[2] as A3,
            it[3] as A4,
            it[4] as A5,
            it[5] as A6,
            it[6] as A7,
        )
    }

/** As [on]; what [handler] gives is the answer where the server waits for one. */
public inline fun <
    reified R,
    reified A1,
    reified A2,
    reified A3,
    reified A4,
    reified A5,
    reified A6,
    reified A7,
    reified A8,
> HubConnection.onRequest(
    target: String,
    crossinline handler: suspend (A1, A2, A3, A4, A5, A6, A7, A8) -> R,
): Registration =
    register(
        target,
        listOf(
            serializerOf<A1>(),
            serializerOf<A2>(),
            serializerOf<A3>(),
            serializerOf<A4>(),
            serializerOf<A5>(),
            serializerOf<A6>(),
            serializerOf<A7>(),
            serializerOf<A8>(),
        ),
        serializerOf<R>(),
    ) {
        handler(
            it[0] as A1,
            it[1] as A2,
            it[2] as A3,
            it[3] as A4,
            it[4] as A5,
            it[5] as A6,
            it[6] as A7,
            it[7] as A8,
        )
    }
