package dev.hubwire

import java.nio.file.Files
import java.nio.file.Path
import java.util.concurrent.TimeUnit
import kotlin.io.path.deleteRecursively
import kotlin.io.path.writeText
import kotlinx.serialization.json.jsonPrimitive

private fun Scene.folder(): Path {
    val folder = Files.createTempDirectory("hubwire-test")
    @OptIn(kotlin.io.path.ExperimentalPathApi::class)
    defer { folder.deleteRecursively() }
    return folder
}

/** Another process that makes durable calls and is killed while it does; returns how many it said were accepted. */
private fun killedChild(url: String, path: String, key: String): Int {
    val child = ProcessBuilder(
        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
        "-cp",
        System.getProperty("surefire.test.class.path") ?: System.getProperty("java.class.path"),
        OutboxChild::class.java.name,
        url,
        path,
        key,
    ).redirectError(ProcessBuilder.Redirect.INHERIT).start()
    try {
        val lines = child.inputReader()
        repeat(20) { same("$it", lines.readLine(), "what the child says") }
        // Unlike the method of the process, this leaves the output to be read.
        child.toHandle().destroyForcibly()
        // What it still had said by then was accepted as well.
        val rest = lines.readLines().count { it.isNotEmpty() }
        check(child.waitFor(10, TimeUnit.SECONDS))
        return 20 + rest
    } finally {
        child.destroyForcibly()
    }
}

internal fun Scenarios.outboxes() {
    scenario("outbox.restart") {
        val path = folder().resolve("outbox").toString()
        val key = "restart-${System.nanoTime()}"
        val accepted = killedChild(server.url, path, key)
        val connection = connection { outbox { this.path = path } }
        val restored = within("the restored calls") { connection.restoredCalls() }
        holds(restored.size >= accepted) { "${restored.size} were restored, $accepted were accepted" }
        within("the start") { connection.start() }
        within("their ends") { restored.forEach { it.await() } }
        same(List(restored.size) { it }, connection.invoke<List<Int>, _>("Noted", key))
        connection.stop()
        connection.close()
    }

    scenario("outbox.restored") {
        val path = folder().resolve("outbox").toString()
        // Of an earlier connection; the file is free when that has ended.
        val before = HubConnection(server.url) { outbox { this.path = path } }
        within("their acceptance") {
            before.call<Int>("Add", args(1, 2)) { durable = true }.accepted()
            before.call<Int>("Nope", args()) { durable = true }.accepted()
        }
        before.close()
        within("the end of the earlier connection") { runCatching { before.restoredCalls() } }
        val connection = reopened(path)
        val restored = within("the restored calls") { connection.restoredCalls() }
        same(listOf("Add", "Nope"), restored.map { it.target })
        within("the start") { connection.start() }
        same("3", within("the result") { restored[0].await() }?.jsonPrimitive?.content)
        fails(HubException.Refused::class, "Unknown hub method 'Nope'") { restored[1].await() }
        same(emptyList<RestoredCall>(), connected().restoredCalls())
    }

    scenario("outbox.full") {
        val connection = connection { outbox { maxItems = 2 } }
        val first = connection.call<Int>("Echo", args(1)) { supersedeKey = "key" }
        val second = connection.call<Int>("Echo", args(2)) { supersedeKey = "key" }
        fails(HubException.Cancelled::class) { first.await() }
        val third = connection.call<Int>("Echo", args(3))
        fails(HubException.Overflow::class) { connection.call<Int>("Echo", args(4)).await() }
        fails(HubException.Overflow::class) { connection.invoke<Int, _>("Echo", 5) }
        within("the start") { connection.start() }
        same(2, second.await())
        same(3, third.await())
    }

    scenario("outbox.unreadable") {
        val folder = folder()
        for (path in listOf(folder.toString(), "$folder/not/there")) {
            val connection = connection {
                outbox { this.path = path }
                retryFirstStart = false
            }
            val error = fails(HubException::class) { connection.start() }
            holds(error.message!!.length > 10) { "the text is '${error.message}'" }
            println("   ${error.kind}: ${error.message}")
            fails(HubException::class) { connection.call<Unit>("Void", args("")) { durable = true }.accepted() }
        }
        // One that is damaged is set aside, and a new one begun.
        val broken = folder.resolve("broken").also { it.writeText("this is no outbox".repeat(1_000)) }
        val connection = connection { outbox { this.path = broken.toString() } }
        within("the start") { connection.start() }
        holds(folder.resolve("broken.corrupt-1").toFile().exists()) { "it was not set aside" }
    }
}

/** The file is locked until the connection before has let it go, on a thread of its own. */
private suspend fun Scene.reopened(path: String): HubConnection {
    return within("the file") {
        while (true) {
            val connection = connection { outbox { this.path = path } }
            if (runCatching { connection.restoredCalls() }.isSuccess) return@within connection
            connection.close()
        }
        @Suppress("UNREACHABLE_CODE")
        error("never")
    }
}
