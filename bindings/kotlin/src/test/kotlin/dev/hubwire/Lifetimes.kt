package dev.hubwire

import dev.hubwire.internal.Engine
import java.lang.ref.WeakReference
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitCancellation
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import kotlinx.coroutines.withContext
import kotlinx.coroutines.yield

/** Uses a connection and leaves nothing of it but this. */
private suspend fun used(url: String, closes: Boolean): WeakReference<HubConnection> {
    val connection = HubConnection(url)
    val got = CompletableDeferred<Int>()
    connection.on("event") { value: Int -> got.complete(value + connection.pendingCalls) }
    connection.start()
    connection.perform("ToCaller", "event", 1)
    got.await()
    connection.stream<Int, _, _>("Count", 10, 0).collect { }
    connection.invoke<Int, _>("Sum", upload(flow { emit(1) }))
    if (closes) connection.close() else connection.stop()
    return WeakReference(connection)
}

private suspend fun collected(what: String, isGone: () -> Boolean) = within(what) {
    while (!isGone()) {
        System.gc()
        yield()
    }
}

internal fun Scenarios.lifetimes() {
    scenario("leak") {
        for (closes in listOf(false, true)) {
            val references = List(20) { within("a connection") { used(server.url, closes) } }
            collected("the end of the objects") { references.all { it.get() == null } }
            collected("the end of the thread") { threadsOf(Engine.THREAD) == 0 }
        }
        // Another thread, with the next connection.
        val next = connected()
        same(1, threadsOf(Engine.THREAD), "the number of threads")
        next.close()
        collected("the end of the thread") { threadsOf(Engine.THREAD) == 0 }
    }

    scenario("own.leak.never-started") {
        fun unused() = WeakReference(HubConnection(server.url).apply { on("event") { _: Int -> } })
        val reference = unused()
        collected("the end of the object") { reference.get() == null }
        collected("the end of the thread") { threadsOf(Engine.THREAD) == 0 }
    }

    scenario("own.kept.while-connected") {
        val got = Events<Int>()
        suspend fun start(): String {
            val connection = HubConnection(server.url)
            connection.on("event") { value: Int ->
                got.push(value)
                connection.stop()
            }
            connection.start()
            return connection.connectionId!!
        }
        val id = start()
        repeat(3) { System.gc() }
        // Nobody holds it, and it still hears.
        connected().perform("ToConnection", id, "event", 7)
        same(7, got.next())
    }

    scenario("own.close.pending") {
        val connection = connected()
        val call = connection.call<Int>("Sum", args(upload(flow<Int> { awaitCancellation() })))
        val waiting = async {
            runCatching { connection.invoke<Int, _>("Sum", upload(flow<Int> { awaitCancellation() })) }
        }
        val items = async { runCatching { connection.stream<Int, _, _>("Forever", "close", 5).collect { } } }
        connection.perform("Void", "")
        yield()
        connection.close()
        // It was sent: nobody knows.
        fails(HubException.OutcomeUnknown::class) { call.await() }
        holds(within("the call") { waiting.await() }.exceptionOrNull() is HubException) { "the call ended well" }
        holds(within("the stream") { items.await() }.exceptionOrNull() is HubException) { "the stream ended well" }
        connection.awaitState(ConnectionState.Disconnected)
    }

    scenario("own.close.messages") {
        val connection = connected()
        val got = Events<Int>()
        val all = async(start = CoroutineStart.UNDISPATCHED) { connection.messages<Int>("event").collect(got::push) }
        eventually("the registration") { connection.isListening }
        connection.perform("ToCaller", "event", 1)
        same(1, got.next())
        connection.close()
        within("the end of the flow") { all.await() }
        holds(!connection.isListening) { "something is registered" }
        same(emptyList<Int>(), within("an empty flow") { connection.messages<Int>("event").toList() })
    }

    scenario("own.reader.never-runs-applications") {
        val connection = connection()
        val threads = Events<String>()
        fun note() = threads.push(currentThread())
        val watch = launch(Dispatchers.Unconfined) { connection.state.collect { note() } }
        val events = launch(Dispatchers.Unconfined) { connection.events.collect { note() } }
        connection.on("event") { _: Int -> note() }
        withContext(Dispatchers.Unconfined) {
            connection.start()
            note()
            repeat(20) {
                connection.perform("ToCaller", "event", 1)
                note()
            }
            connection.call<Int>("Add", args(1, 2)).await()
            note()
            connection.stream<Int, _, _>("Count", 20, 1).collect { note() }
            connection.metrics()
            note()
            connection.stop()
            note()
        }
        watch.cancel()
        events.cancel()
        var count = 0
        while (!threads.isEmpty) {
            holds(threads.next() != Engine.THREAD) { "application code runs on the reader's thread" }
            count++
        }
        holds(count > 60) { "only $count were noted" }
    }

    scenario("own.reader.runs-handlers-if-told") {
        val threads = Events<String>()
        fun note() = threads.push(currentThread())
        val connection = connection {
            dispatcher = Dispatchers.Unconfined
            accessToken {
                note()
                null
            }
        }
        val got = Events<Int>()
        connection.on("event") { value: Int ->
            note()
            got.push(value)
        }
        // One that waits for the connection does not hold it up.
        connection.on("down") { depth: Int ->
            note()
            val next: Int = connection.invoke("Add", depth, -1)
            note()
            check(connection.metrics().toString().isNotEmpty())
            if (next == 0) got.push(-1) else connection.perform("ToCaller", "down", next)
        }
        connection.start()
        connection.perform("PushMany", "event", 1_000)
        same(List(1_000) { it }, got.take(1_000))
        var calls = 0
        while (!threads.isEmpty) {
            same(Engine.THREAD, threads.next(), "the thread of a handler")
            calls++
        }
        holds(calls > 1_000) { "only $calls were noted" }
        connection.perform("ToCaller", "down", 20)
        same(-1, got.next())
        same(3, connection.invoke<Int, _, _>("Add", 1, 2))
        same(List(10) { it }, connection.stream<Int, _, _>("Count", 10, 0).toList())
        connection.stop()
    }
}
