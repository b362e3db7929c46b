package dev.hubwire

import dev.hubwire.internal.Engine
import kotlin.time.Duration
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitAll
import kotlinx.coroutines.awaitCancellation
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.flow.filter
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.yield

/** Blocks the proxy until the connection has noticed. */
private suspend fun Scene.lose(connection: HubConnection) {
    defer { proxy.unblock() }
    proxy.block()
    connection.awaitState(ConnectionState.Reconnecting)
}

internal fun Scenarios.reconnects() {
    for (transport in Transport.entries) {
        scenario("reconnect.$transport") {
            val connection = proxied { transports = setOf(transport) }
            val got = Events<Int>()
            connection.on("event") { value: Int -> got.push(value) }
            within("the start") { connection.start() }
            val before = connection.connectionId
            lose(connection)
            same(null, connection.connectionId, "the id")
            proxy.unblock()
            connection.awaitState(ConnectionState.Connected)
            holds(connection.connectionId != null && connection.connectionId != before) { "the id is the same" }
            connection.perform("ToCaller", "event", 7)
            same(7, got.next())
        }
    }

    scenario("reconnect.outbox") {
        val connection = proxied { outbox { maxItems = 1_000 } }
        within("the start") { connection.start() }
        lose(connection)
        val key = "outbox-${System.nanoTime()}"
        val calls = List(200) { connection.call<Unit>("Note", args(key, it)) }
        within("their acceptance") { calls.forEach { it.accepted() } }
        within("what waits") { while (connection.outbox.depth != 200L) yield() }
        proxy.unblock()
        within("all calls") { calls.forEach { it.await() } }
        same(List(200) { it }, connection.invoke<List<Int>, _>("Noted", key))
    }

    scenario("reconnect.unknown") {
        val connection = proxied { announce = false }
        within("the start") { connection.start() }
        val lost = connection.call<Int>("Sum", args(upload(flow<Int> { awaitCancellation() })))
        val again = connection.call<Boolean>("WasCancelled", args("never")) { idempotent = true }
        within("another call") { again.await() }
        val back = async(start = CoroutineStart.UNDISPATCHED) {
            connection.stateChanges.first { it.to == ConnectionState.Connected }
        }
        proxy.cut()
        fails(HubException.OutcomeUnknown::class) { lost.await() }
        within("the new connection") { back.await() }
        // Silence: the call is on its way, and its answer never comes.
        defer { proxy.unblock() }
        proxy.halfOpen()
        val before = connection.metrics().messagesSent
        val repeated = connection.call<Int>("Add", args(1, 2)) { idempotent = true }
        val unknown = connection.call<Int>("Add", args(1, 2))
        within("the messages to be sent") {
            while (connection.metrics().messagesSent < before + 2) yield()
        }
        proxy.cut()
        proxy.unblock()
        fails(HubException.OutcomeUnknown::class) { unknown.await() }
        same(3, within("the call that was made again") { repeated.await() })
    }

    scenario("reconnect.half-open") {
        val connection = proxied {
            serverTimeout = 3.seconds
            keepAliveInterval = 1.seconds
            closeTimeout = 1.seconds
        }
        within("the start") { connection.start() }
        defer { proxy.unblock() }
        proxy.halfOpen()
        connection.awaitState(ConnectionState.Reconnecting)
        proxy.unblock()
        proxy.cut()
        connection.awaitState(ConnectionState.Connected)
        same(3, connection.invoke<Int, _, _>("Add", 1, 2))
    }

    scenario("reconnect.first-start") {
        server.kill()
        defer { server.restart() }
        val connection = connection {
            retry = Scene.QUICK
            retryFirstStart = true
        }
        val attempts = Events<HubEvent>()
        val watch = async(start = CoroutineStart.UNDISPATCHED) { connection.events.collect { attempts.push(it) } }
        val started = async { connection.start() }
        val answer = async { connection.invoke<String, _>("Echo", "early") }
        var scheduled = attempts.next()
        while (scheduled !is HubEvent.RetryScheduled) {
            scheduled = attempts.next()
        }
        same(50.milliseconds, scheduled.delay, "the delay")
        server.restart()
        within("the start") { started.await() }
        same("early", within("the answer") { answer.await() })
        watch.cancelAndJoin()
    }

    scenario("reconnect.restart") {
        val connection = connection {
            retry = Scene.QUICK
            retryFirstStart = true
        }
        within("the start") { connection.start() }
        server.kill()
        connection.awaitState(ConnectionState.Reconnecting)
        val calls = List(20) { connection.call<Int>("Echo", args(it)) }
        server.restart()
        same(List(20) { it }, within("the answers") { calls.map { it.await() } })
    }

    scenario("reconnect.gives-up") {
        val connection = proxied(RetrySchedule.table(listOf(10.milliseconds, 10.milliseconds)))
        within("the start") { connection.start() }
        val ended = async(start = CoroutineStart.UNDISPATCHED) {
            connection.stateChanges.filter { it.to == ConnectionState.Disconnected }.first()
        }
        defer { proxy.unblock() }
        proxy.block()
        val cause = within("the end") { ended.await() }.cause
        holds(cause is StateCause.Failed && cause.error.message!!.isNotEmpty()) { "the cause is $cause" }
        same(ConnectionState.Disconnected, connection.state.value, "the state")
        // Without a schedule a first start fails at once.
        val never = connection(proxy.url) { retry = RetrySchedule.never() }
        fails(HubException.Network::class) { never.start() }
    }

    scenario("reconnect.stop") {
        val connection = proxied(Scene.SLOW)
        within("the start") { connection.start() }
        lose(connection)
        within("the stop", 5.seconds) { connection.stop() }
        same(ConnectionState.Disconnected, connection.state.value, "the state")
        proxy.unblock()
        within("another start") { connection.start() }
    }

    scenario("retry.custom") {
        val asked = Events<RetryContext>()
        val threads = Events<String>()
        val connection = proxied(
            RetrySchedule.custom { context ->
                asked.push(context)
                threads.push(currentThread())
                if (context.previousRetryCount < 3) Duration.ZERO else null
            },
        )
        within("the start") { connection.start() }
        val changes = Events<StateChange>()
        val watch = async(start = CoroutineStart.UNDISPATCHED) { connection.stateChanges.collect { changes.push(it) } }
        defer { proxy.unblock() }
        proxy.block()
        val contexts = asked.take(4)
        same(listOf(0, 1, 2, 3), contexts.map { it.previousRetryCount })
        holds(contexts.all { it.reason.message!!.isNotEmpty() }) { "there is no reason" }
        repeat(4) { holds(threads.next() != Engine.THREAD) { "the policy runs on the reader's thread" } }
        same(ConnectionState.Reconnecting, changes.next().to)
        val end = changes.next()
        same(ConnectionState.Disconnected, end.to)
        proxy.unblock()
        within("another start") { connection.start() }
        watch.cancelAndJoin()
        val throwing = connection(proxy.url) {
            retry = RetrySchedule.custom { error("a policy that throws") }
            retryFirstStart = true
        }
        proxy.block()
        fails(HubException.Network::class) { throwing.start() }
    }

    scenario("own.retry.custom.late") {
        val asked = CompletableDeferred<Unit>()
        val answer = CompletableDeferred<Duration>()
        val answered = CompletableDeferred<Unit>()
        val connection = proxied(
            RetrySchedule.custom {
                asked.complete(Unit)
                answer.await().also { answered.complete(Unit) }
            },
        ) { requestTimeout = 1.seconds }
        within("the start") { connection.start() }
        val changes = Events<ConnectionState>()
        val back = CompletableDeferred<Unit>()
        val watch = async(start = CoroutineStart.UNDISPATCHED) {
            connection.stateChanges.collect { change ->
                changes.push(change.to)
                if (change.to == ConnectionState.Connected) back.complete(Unit)
            }
        }
        val scheduled = async(start = CoroutineStart.UNDISPATCHED) {
            connection.events.first { it is HubEvent.RetryScheduled }
        }
        proxy.cut()
        within("the question") { asked.await() }
        // The core does not wait for ever.
        within("the next attempt") { scheduled.await() }
        same(ConnectionState.Reconnecting, connection.state.value, "the state")
        connection.hint(Hint.Resumed)
        within("the new connection") { back.await() }
        answer.complete(Duration.ZERO)
        within("the answer") { answered.await() }
        // Behind what the answer may have changed.
        same(3, connection.call<Int>("Add", args(1, 2)).await())
        same(ConnectionState.Connected, connection.state.value, "the state")
        connection.stop()
        val seen = changes.take(4)
        same("[Reconnecting, Connected, Disconnecting, Disconnected]", "$seen", "the states")
        watch.cancelAndJoin()
    }

    scenario("hints") {
        val connection = proxied(Scene.SLOW)
        within("the start") { connection.start() }
        connection.hint(Hint.Offline)
        proxy.cut()
        connection.awaitState(ConnectionState.Reconnecting)
        connection.hint(Hint.Online)
        within("the new connection", 5.seconds) { connection.state.first { it == ConnectionState.Connected } }
        val hints = object : PlatformHints {
            var sink: HintSink? = null

            override fun attach(sink: HintSink): Detachable {
                this.sink = sink
                return Detachable { this.sink = null }
            }
        }
        val attached = connection.attach(hints)
        lose(connection)
        proxy.unblock()
        hints.sink!!.hint(Hint.Resumed)
        within("the new connection", 5.seconds) { connection.state.first { it == ConnectionState.Connected } }
        attached.detach()
        same(null, hints.sink, "the sink")
    }

    scenario("own.start.cancelled") {
        val connection = proxied(Scene.SLOW)
        defer { proxy.unblock() }
        proxy.block()
        val start = async(start = CoroutineStart.UNDISPATCHED) { connection.start() }
        connection.awaitState(ConnectionState.Connecting)
        within("the end of the start", 5.seconds) { start.cancelAndJoin() }
        connection.awaitState(ConnectionState.Disconnected)
        proxy.unblock()
        within("another start") { connection.start() }
    }

    scenario("own.connections.many") {
        val connections = List(50) { connection() }
        within("the starts") { connections.map { async { it.start() } }.awaitAll() }
        val sums = within("the answers") {
            connections.mapIndexed { index, one -> async { one.invoke<Int, _, _>("Add", index, 1) } }.awaitAll()
        }
        same(List(50) { it + 1 }, sums)
        same(1, threadsOf(Engine.THREAD), "the number of threads")
        within("the stops") { connections.map { async { it.stop() } }.awaitAll() }
    }
}

/** How many threads have that name. */
/** What coroutines add to the names of threads while they are on them, in tests, is not part of them. */
private val Thread.ownName: String get() = name.substringBefore(" @")

internal fun threadsOf(name: String): Int = Thread.getAllStackTraces().keys.count { it.ownName == name && it.isAlive }

internal fun currentThread(): String = Thread.currentThread().ownName
