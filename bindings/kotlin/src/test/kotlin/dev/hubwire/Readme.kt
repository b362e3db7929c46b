@file:Suppress("unused", "UNUSED_VARIABLE")

package dev.hubwire

import java.io.File
import kotlinx.coroutines.flow.flowOf
import kotlinx.serialization.Serializable

// The code that the READMEs show, with what it takes for granted. It is compiled, and the test compares it with them.

private object Quickstart {
    private object tokens {
        fun current() = "token"
    }

    private fun show(message: ChatMessage) = println(message)

    @Serializable
    data class ChatMessage(val user: String, val text: String)

    suspend fun code() {
        val connection = HubConnection("https://example.org/hubs/chat") {
            accessToken { tokens.current() }
        }
        connection.on("ReceiveMessage") { message: ChatMessage -> show(message) }
        connection.start()

        val sum: Int = connection.invoke("Add", 1, 2)          // types of arguments and result are inferred
        connection.perform("JoinConversation", "lobby")         // waits for the end, whatever the result
        connection.send("Typing", "lobby")                      // does not wait for an answer
    }
}

private object Streams {
    suspend fun code(connection: HubConnection) {
        connection.stream<Int, _, _>("Count", 100, 0).collect { println(it) }
        val total: Int = connection.invoke("Sum", upload(flowOf(1, 2, 3)))
    }
}

private object Handlers {
    fun code(url: String) {
        val connection = HubConnection(url) {
            delivery { target("Order", AckMode.Manual) }     // then call acknowledge(id) or nack(id, reason)
        }
    }
}

private object Away {
    private class Context(val filesDir: File)

    @Serializable
    private class Order(val id: String)

    suspend fun code(url: String) {
        val context = Context(File("/"))
        val order = Order("1")
        val connection = HubConnection(url) {
            outbox { path = "${context.filesDir}/outbox" }
            retry = RetrySchedule.fullJitter()                // the default; signalr(), conduit(), table(…), custom { … }, never()
        }
        connection.call<Unit>("Order", args(order)) { durable = true }.accepted()   // it is on the disk now
        connection.restoredCalls().forEach { println("${it.target}: ${it.await()}") }
    }
}

/** What the README of the repository shows. */
private object Overview {
    private object session {
        fun token() = "token"
    }

    private val filesDir = File("/")

    private fun show(message: ChatMessage) = println(message)

    @Serializable data class ChatMessage(val conversationId: String, val content: String)

    suspend fun code() {
        val connection = HubConnection("https://hub.example.org/hubs/chat") {
            accessToken { session.token() }
            outbox { path = "$filesDir/outbox.redb" } // durable calls outlive the process
        }

        connection.on("ReceiveMessage") { message: ChatMessage -> show(message) }
        connection.start()
        val sum: Int = connection.invoke("Add", 40, 2)
        connection.stream<Int, _, _>("Count", 10, 0).collect { println(it) }
    }
}

/** The lines of code between fences for Kotlin, block by block; those of a build script are not for this compiler. */
private fun blocks(markdown: File): List<List<String>> {
    val parts = markdown.readText().split("```kotlin\n").drop(1)
    return parts.map { it.substringBefore("\n```").lines().map(String::trim).filter(String::isNotEmpty) }
        .filter { it.first() != "dependencies {" }
}

internal fun Scenarios.readme() {
    scenario("own.readme") {
        val root = File(System.getProperty("hubwire.tests")).parentFile
        val here = File(root, "bindings/kotlin/src/test/kotlin/dev/hubwire/Readme.kt").readLines().map(String::trim)
        val all = blocks(File(root, "bindings/kotlin/README.md")) + blocks(File(root, "README.md"))
        same(5, all.size, "the number of blocks")
        for (block in all) {
            // From its first line on all are there, in order; what is taken for granted may be between them.
            var rest = here.drop(here.indexOf(block.first()))
            for (line in block) {
                val place = rest.indexOf(line)
                holds(place >= 0) { "the README has what is not compiled: $line" }
                rest = rest.drop(place + 1)
            }
        }
    }
}
