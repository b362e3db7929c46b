package dev.hubwire

import dev.hubwire.internal.Engine
import java.util.concurrent.CountDownLatch
import java.util.concurrent.TimeUnit
import java.util.concurrent.atomic.AtomicInteger
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitAll
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.yield
import kotlinx.serialization.Serializable
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive

/** What `AskCaller` says of the answer that it got. */
@Serializable
internal data class Answer(val ok: Boolean, val value: JsonElement? = null, val error: String? = null)

internal fun Scenarios.handlers() {
    scenario("push") {
        for (protocol in HubProtocol.entries) {
            val connection = connected { this.protocol = protocol }
            val got = Events<Int>()
            connection.on("EVENT") { value: Int -> got.push(value) }
            val three = Events<Triple<String, Int, Point>>()
            connection.on("three") { a: String, b: Int, c: Point -> three.push(Triple(a, b, c)) }
            val fewer = Events<String>()
            connection.on("three") { a: String -> fewer.push(a) }
            val more = Events<String?>()
            connection.on("three") { _: String, _: Int, _: Point, d: String? -> more.push(d) }
            connection.perform("PushMany", "event", 1_000)
            same(List(1_000) { it }, got.take(1_000))
            connection.perform("ToCallerThree", "three", "a", 2, Point(1, 2.0))
            same(Triple("a", 2, Point(1, 2.0)), three.next())
            same("a", fewer.next())
            same(null, more.next())
            val messages = async { connection.messages<Int>("event").take(3).toList() }
            // Until the flow is there.
            while (!messages.isCompleted) {
                connection.perform("PushFrom", "event", 0, 3)
                yield()
            }
            same(3, messages.await().size)
        }
    }

    scenario("client-result") {
        for (protocol in HubProtocol.entries) {
            val connection = connected { this.protocol = protocol }
            connection.onRequest("twice") { value: Int -> value * 2 }
            val twice: Answer = connection.invoke("AskCaller", "twice", 21)
            same(Answer(true, JsonPrimitive(42)), twice)
            connection.onRequest<Int, Int>("fails") { error("not today") }
            val failed: Answer = connection.invoke("AskCaller", "fails", 1)
            holds(!failed.ok && "not today" in failed.error.orEmpty()) { "the answer is $failed" }
            val none: Answer = connection.invoke("AskCaller", "nobody", 1)
            holds(!none.ok && !none.error.isNullOrEmpty()) { "the answer is $none" }
            connection.on("twice") { _: Int -> }
            same(twice, connection.invoke<Answer, _, _>("AskCaller", "twice", 21))
            val wrong: Answer = connection.invoke("AskCaller", "twice", "text")
            holds(!wrong.ok && "Argument 1 of 'twice'" in wrong.error.orEmpty()) { "the answer is $wrong" }
        }
    }

    scenario("own.handler.answer-refused") {
        val connection = connected { protocol = HubProtocol.MessagePack }
        val failed = async(start = CoroutineStart.UNDISPATCHED) {
            connection.events.first { it is HubEvent.HandlerFailed } as HubEvent.HandlerFailed
        }
        // Marked as binary, and no text.
        connection.onRequest("ask") { _: Int -> JsonObject(mapOf("\$binary" to JsonPrimitive(5))) }
        val answer: Answer = within("the answer") { connection.invoke("AskCaller", "ask", 1) }
        holds(!answer.ok && !answer.error.isNullOrEmpty()) { "the answer is $answer" }
        same("ask", within("the event") { failed.await() }.target)
    }

    scenario("handler.throws") {
        val connection = connected()
        val failures = Events<HubEvent>()
        val watch = async { connection.events.collect { if (it is HubEvent.HandlerFailed) failures.push(it) } }
        defer { watch.cancel() }
        val got = Events<Int>()
        connection.on("event") { _: Int -> error("thrown") }
        connection.on("event") { _: Int -> throw StackOverflowError("an Error") }
        connection.on("event") { _: Int -> throw kotlinx.coroutines.CancellationException("of its own") }
        connection.on("event") { value: Int -> got.push(value) }
        yield()
        connection.perform("PushMany", "event", 3)
        same(listOf(0, 1, 2), got.take(3))
        val first = failures.next() as HubEvent.HandlerFailed
        same("event" to "thrown", first.target to first.error.message)
        same(3, connection.invoke<Int, _, _>("Add", 1, 2))
        same(ConnectionState.Connected, connection.state.value)
    }

    scenario("handler.blocked") {
        val connection = connected()
        val other = connected()
        val release = CountDownLatch(1)
        defer { release.countDown() }
        val blocked = CompletableDeferred<String>()
        connection.on("event") { _: Int ->
            blocked.complete(currentThread())
            check(release.await(60, TimeUnit.SECONDS))
        }
        connection.perform("PushMany", "event", 10)
        holds(Engine.THREAD != within("the handler") { blocked.await() }) { "the handler is on the reader's thread" }
        same(3, within("a call") { connection.invoke<Int, _, _>("Add", 1, 2) })
        same(List(10) { it }, within("a stream") { connection.stream<Int, _, _>("Count", 10, 0).toList() })
        val got = Events<Int>()
        other.on("event") { value: Int -> got.push(value) }
        other.perform("PushMany", "event", 10)
        same(List(10) { it }, got.take(10))
    }

    scenario("handler.calls") {
        val connection = connected()
        val done = CompletableDeferred<Int>()
        connection.on("down") { depth: Int ->
            val next: Int = connection.invoke("Add", depth, -1)
            if (next == 0) done.complete(depth) else connection.perform("ToCaller", "down", next)
        }
        connection.perform("ToCaller", "down", 50)
        same(1, within("the bottom") { done.await() })
    }

    scenario("own.handler.calls-behind-much") {
        val connection = connected()
        val count = 150_000
        val sum = CompletableDeferred<Int>()
        val last = CompletableDeferred<Int>()
        val sent = CompletableDeferred<Unit>()
        connection.on("event") { value: Int ->
            if (value == 0) {
                sent.await()
                sum.complete(connection.invoke("Add", 1, 2))
            }
            if (value == count - 1) last.complete(value)
        }
        // More than a connection reads that nobody handles; the server holds no more for a client than so many.
        for (first in 0 until count step 1_000) {
            within("a call behind them") { connection.perform("PushFrom", "event", first, 1_000) }
        }
        sent.complete(Unit)
        same(3, within("a call behind them") { sum.await() })
        within("the last one") { last.await() }
    }

    scenario("handler.stops") {
        val connection = connected()
        val got = mutableListOf<Int>()
        val stopped = CompletableDeferred<Unit>()
        connection.on("event") { value: Int ->
            got += value
            if (value == 2) {
                connection.stop()
                stopped.complete(Unit)
            }
        }
        // The stop is asked for before the turn of this one.
        val second = mutableListOf<Int>()
        connection.on("event") { value: Int -> second += value }
        connection.send("PushMany", "event", 1_000)
        within("the stop") { stopped.await() }
        same(ConnectionState.Disconnected, connection.state.value, "the state")
        connection.start()
        connection.perform("Void", "")
        same(listOf(0, 1, 2), got)
        same(listOf(0, 1), second, "what the second handler got")
    }

    scenario("own.handler.in-order") {
        val connection = connected()
        val running = AtomicInteger()
        val got = Events<Int>()
        connection.on("event") { value: Int ->
            check(running.incrementAndGet() == 1)
            // Let others run, if there were any.
            repeat(3) { yield() }
            running.decrementAndGet()
            got.push(value)
        }
        List(4) { async { connection.perform("PushFrom", "event", it * 100, 100) } }.awaitAll()
        val all = got.take(400)
        same(List(400) { it }, all.sorted())
        for (part in 0 until 4) {
            same(List(100) { part * 100 + it }, all.filter { it / 100 == part })
        }
    }

    scenario("own.handler.cancel") {
        val connection = connected()
        val got = Events<Int>()
        val registration = connection.on("event") { value: Int -> got.push(value) }
        holds(connection.isListening) { "nothing is registered" }
        connection.perform("ToCaller", "event", 1)
        same(1, got.next())
        registration.cancel()
        holds(!connection.isListening) { "something is registered" }
        val other = Events<Int>()
        connection.on("other") { value: Int -> other.push(value) }
        connection.perform("ToCaller", "event", 2)
        // Behind the one that nobody wants.
        connection.perform("ToCaller", "other", 2)
        same(2, other.next())
        connection.on("event") { value: Int -> got.push(value) }
        connection.perform("ToCaller", "event", 3)
        same(3, got.next())
    }
}
