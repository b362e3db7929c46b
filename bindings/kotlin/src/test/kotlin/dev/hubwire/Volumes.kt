package dev.hubwire

import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CompletableDeferred

private const val MANY = 100_000

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
            same(MANY, connection.invoke<Int, _, _>("PushMany", "event", MANY))
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
