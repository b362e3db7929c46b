package dev.hubwire

import dev.hubwire.hubs.ChatHub
import dev.hubwire.hubs.ChatHubClient
import dev.hubwire.hubs.hub
import java.nio.file.Files
import java.util.concurrent.TimeUnit
import kotlin.concurrent.thread

internal fun Scenarios.examples() {
    chat("own.example.chat", testClasses)
    // Shrunk by ProGuard, with nothing kept but what the rules in the jars say; cargo xtask makes it.
    System.getProperty("hubwire.shrunk").takeUnless { it.isNullOrEmpty() }?.let { shrunk ->
        chat("own.shrunk.chat", shrunk)
        scenario("own.shrunk.calls") {
            val folder = Files.createTempDirectory("hubwire").toFile()
            defer { folder.deleteRecursively() }
            val program = java("dev.hubwire.shrunk.Calls", server.url, "$folder/outbox", classes = shrunk)
            defer { program.destroyForcibly() }
            val lines = Events<String>()
            thread(isDaemon = true) { program.inputReader().forEachLine { lines.push(it) } }
            same("done", lines.next("the end"))
        }
    }
}

private fun Scenarios.chat(id: String, classes: String) {
    scenario(id) {
        val room = "room-${System.nanoTime()}"
        val program = java("dev.hubwire.example.Chat", proxy.origin, room, Server.token("ann"), classes = classes)
        defer { program.destroyForcibly() }
        val lines = Events<String>()
        thread(isDaemon = true) { program.inputReader().forEachLine { lines.push(it) } }
        suspend fun says(line: String) {
            while (lines.next("'$line'") != line) {
                // Others may be between them.
            }
        }
        fun type(line: String) = program.outputWriter().run {
            write("$line\n")
            flush()
        }
        says("* joined $room; type, and end with an empty line")
        val other = ChatHubClient(
            connected(server.origin + ChatHub.path) {
                hub(ChatHub)
                accessToken { Server.token("bob") }
            },
        )
        val heard = Events<String>()
        other.onMessage { heard.push("${it.userId}: ${it.content}") }
        other.joinConversation(room)
        says("* bob is here")
        type("hello")
        same("ann: hello", heard.next())
        says("ann: hello")
        proxy.cut()
        says("* connected")
        type("still here")
        same("ann: still here", heard.next())
        type("")
        says("* disconnected")
        check(program.waitFor(10, TimeUnit.SECONDS)) { "the program does not end" }
        same(0, program.exitValue(), "the status")
    }
}
