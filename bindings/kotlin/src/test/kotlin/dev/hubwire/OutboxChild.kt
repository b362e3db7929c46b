package dev.hubwire

import kotlinx.coroutines.awaitCancellation
import kotlinx.coroutines.runBlocking

/** Makes durable calls without end, to a server that is not there, and says which were accepted: to be killed. */
internal object OutboxChild {
    @JvmStatic
    fun main(arguments: Array<String>) {
        val (url, path, key) = arguments
        runBlocking {
            val connection = HubConnection(url) { outbox { this.path = path } }
            for (index in 0 until 5_000) {
                connection.call<Unit>("Note", args(key, index)) { durable = true }.accepted()
                println(index)
            }
            awaitCancellation()
        }
    }
}
