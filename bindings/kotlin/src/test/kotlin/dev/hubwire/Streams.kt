package dev.hubwire

import kotlin.time.Duration.Companion.milliseconds
import kotlinx.coroutines.flow.asFlow
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.flow.flowOf
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.cancel
import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.launch

internal fun Scenarios.streams() {
    scenario("stream.down") {
        for (protocol in HubProtocol.entries) {
            val connection = connected { this.protocol = protocol }
            same(List(100) { it }, within("the items") { connection.stream<Int, _, _>("Count", 100, 0).toList() })
            val got = mutableListOf<Int>()
            val error = fails(HubException.Refused::class) {
                connection.stream<Int, _, _>("CountThenFail", 3, "no more").collect { got += it }
            }
            same("An error occurred on the server while streaming results. HubException: no more", error.message)
            same(listOf(0, 1, 2), got)
            // Cold: each collection is a call.
            val counts = connection.stream<Int, _, _>("Count", 2, 0)
            same(listOf(0, 1, 0, 1), within("the items") { counts.toList() + counts.toList() })
            fails(HubException.Refused::class) { connection.stream<Int, _, _>("Add", 1, 2).toList() }
            fails(HubException.Protocol::class, "An item of 'Count' is of another type") {
                connection.stream<List<Int>, _, _>("Count", 2, 0).toList()
            }
        }
    }

    scenario("stream.up") {
        for (protocol in HubProtocol.entries) {
            val connection = connected { this.protocol = protocol }
            same(499_500, within("the sum") { connection.invoke<Int, _>("Sum", upload((0 until 1_000).asFlow())) })
            val label = within("the label") { connection.invoke<String, _, _>("Label", "l", upload(flowOf("a", "b"))) }
            same("l:a,b", label)
            val doubled = within("the items") {
                connection.stream<Int, _>("Double", upload((1..100).asFlow())).toList()
            }
            same(List(100) { 2 * (it + 1) }, doubled)
            fails(HubException.Refused::class, "HubException: broken source") {
                connection.invoke<Int, _>(
                    "Sum",
                    upload(
                        flow<Int> {
                            emit(1)
                            error("broken source")
                        },
                    ),
                )
            }
            // Of the application's own: the upload is wanted.
            fails(HubException.Refused::class, "HubException: of another connection") {
                val broken = flow<Int> { throw HubException.Cancelled("of another connection") }
                connection.invoke<Int, _>("Sum", upload(broken))
            }
            val sums = Events<Int>()
            connection.on("sum") { sum: Int -> sums.push(sum) }
            connection.send("SumToCaller", "sum", upload(flowOf(1, 2, 3)))
            same(6, sums.next())
        }
    }

    scenario("cancel.stream") {
        val connection = connected()
        val key = "stream-${System.nanoTime()}"
        same(listOf(0, 1, 2), within("the items") { connection.stream<Int, _, _>("Forever", key, 1).take(3).toList() })
        within("the cancellation on the server") {
            while (!connection.invoke<Boolean, _>("WasCancelled", key)) {
                // Each answer is a round trip later.
            }
        }
        same(0, connection.pendingCalls, "the calls")
    }

    scenario("own.stream.cancelled-before") {
        val connection = connected()
        val end = CompletableDeferred<Throwable?>()
        launch(start = CoroutineStart.UNDISPATCHED) {
            currentCoroutineContext().cancel()
            // Nobody is to look at the argument.
            val items = connection.stream<Int, _>("Count", Unwritable())
            end.complete(runCatching { items.collect { } }.exceptionOrNull())
        }
        val error = end.await()
        holds(error is CancellationException) { "it ended with $error" }
    }

    scenario("own.stream.overflow") {
        val connection = connected()
        val taken = CompletableDeferred<Unit>()
        val error = fails(HubException.Overflow::class, "More than 10 items") {
            connection.stream<Int>("Count", args(1_000, 0)) { bufferSize = 10 }.collect {
                if (taken.complete(Unit)) {
                    // Behind all items of the stream.
                    connection.invoke<Int, _, _>("Add", 1, 2)
                    connection.stream<Int, _, _>("Count", 1, 0).first()
                }
            }
        }
        same(ErrorKind.Overflow, error.kind)
    }

    scenario("own.stream.hold-back") {
        val connection = connected()
        val items = within("the items") {
            connection.stream<Int>("Count", args(50_000, 0)) { holdBack = true }.toList()
        }
        same(List(50_000) { it }, items)
    }

    scenario("own.stream.hold-back.left") {
        val connection = connected()
        // Of each half is left over: more than the 8 MiB at which the connection stops reading.
        repeat(30) {
            val before = connection.metrics().messagesReceived
            within("the items") {
                connection.stream<Int>("Count", args(20_000, 0)) { holdBack = true }.first { item ->
                    if (item == 0) {
                        // What comes after the first is taken in one piece.
                        eventually("all of them") { connection.metrics().messagesReceived >= before + 20_000 }
                    }
                    item == 10_000
                }
            }
        }
        same(3, within("a call") { connection.invoke<Int, _, _>("Add", 1, 2) })
        within("the stop") { connection.stop() }
    }

    scenario("own.call.accepted") {
        val connection = connection()
        val call = connection.call<Int>("Add", args(1, 2))
        within("the acceptance") { call.accepted() }
        val late = connection.call<Int>("Add", args(1, 2)) { queue = false }
        fails(HubException::class) { late.accepted() }
        val expired = connection.call<Int>("Add", args(1, 2)) { expiresAfter = 20.milliseconds }
        fails(HubException.Timeout::class) { expired.await() }
        within("the start") { connection.start() }
        same(3, within("the result") { call.await() })
    }
}
