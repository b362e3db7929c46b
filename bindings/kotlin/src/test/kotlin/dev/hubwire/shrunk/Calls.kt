package dev.hubwire.shrunk

import dev.hubwire.HubConnection
import dev.hubwire.HubException
import dev.hubwire.HubProtocol
import dev.hubwire.RetrySchedule
import dev.hubwire.invoke
import dev.hubwire.stream
import dev.hubwire.upload
import kotlinx.coroutines.flow.flowOf
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.runBlocking
import kotlinx.serialization.Serializable

@Serializable
private data class Point(val x: Int, val name: String? = null, val more: List<Point> = emptyList())

/** Does what the chat of the examples does not, to be run shrunk. Says `done` at the end. */
internal object Calls {
    @JvmStatic
    fun main(arguments: Array<String>) {
        val (url, path) = arguments
        for (protocol in HubProtocol.entries) {
            runBlocking { all(url, "$path-$protocol", protocol) }
        }
        println("done")
    }

    private suspend fun all(url: String, path: String, protocol: HubProtocol) {
        val connection = HubConnection(url) {
            this.protocol = protocol
            retry = RetrySchedule.custom { null }
            outbox { this.path = path }
        }
        connection.use {
            connection.start()
            val point = Point(1, "a", listOf(Point(2)))
            check(connection.invoke<Point, _>("Echo", point) == point)
            check(connection.stream<Int, _, _>("Count", 3, 0).toList() == listOf(0, 1, 2))
            check(connection.invoke<Int, _>("Sum", upload(flowOf(1, 2, 3))) == 6)
            // The two calls that are futures at the border.
            check(connection.metrics().messagesSent > 0)
            check(connection.positions().isEmpty())
            check(connection.restoredCalls().isEmpty())
            val refused = runCatching { connection.invoke<Int, _>("Echo", "no number") }.exceptionOrNull()
            check(refused is HubException) { "it gave $refused" }
            val unknown = runCatching { connection.invoke<Int, _>("NoSuchMethod", 1) }.exceptionOrNull()
            check(unknown is HubException.Refused) { "it gave $unknown" }
            connection.stop()
        }
    }
}
