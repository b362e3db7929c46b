package dev.hubwire

import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CompletableDeferred

private const val MANY = 100_000

/** So many at a time: a server does not keep all for a client that is slower. */
private const val PORTION = 1_000

internal fun Scenarios.volumes() {
    for (protocol in HubProtocol.entries) {
        val name = protocol.name.lowercase()
        scenario("volume.push.$name") {
            val connection = connected { this.protocol = protocol }
            val done = CompletableDeferred<Unit>()
            var next = 0
            connection.on("event") { value: Int ->
                if (value != next) done.completeExceptionally(IllegalStateException("$value came, not $next"))
                if (++next == MANY) done.complete(Unit)
            }
            for (first in 0 until MANY step PORTION) {
                connection.perform("PushFrom", "event", first, PORTION)
            }
            within("the last one", 60.seconds) { done.await() }
            // None comes twice.
            connection.perform("ToCaller", "nobody", 1)
            same(MANY, next)
        }

        scenario("volume.stream.$name") {
            val connection = connected { this.protocol = protocol }
            var next = 0
            within("the items", 60.seconds) {
                connection.stream<Int>("Count", args(MANY, 0)) { holdBack = true }.collect { same(next++, it) }
            }
            same(MANY, next)
        }
    }
}
