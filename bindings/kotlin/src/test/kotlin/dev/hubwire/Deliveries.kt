package dev.hubwire

import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.async
import kotlinx.coroutines.yield
import kotlinx.serialization.Serializable
import kotlinx.serialization.json.JsonObject

private val Server.delivery get() = "$origin/hubs/delivery"

@Serializable
internal data class Note(val messageId: String, val data: Map<String, String>)

@Serializable
internal data class Thing(val taskId: String, val a: Int, val b: Int)

@Serializable
internal data class Numbered(val number: Int)

private val TEXT = mapOf("text" to "hello")

internal fun Scenarios.deliveries() {
    scenario("ack.auto") {
        val judge = connected(server.delivery)
        for (protocol in HubProtocol.entries) {
            val connection = connected(server.delivery) { this.protocol = protocol }
            val gate = CompletableDeferred<Unit>()
            val got = CompletableDeferred<Note>()
            connection.on("note") { note: Note ->
                got.complete(note)
                gate.await()
            }
            val id: String = connection.invoke("Deliver", "note", TEXT)
            same(Note(id, TEXT), within("the message") { got.await() })
            val outcome = async(start = CoroutineStart.UNDISPATCHED) { judge.invoke<String, _>("Outcome", id) }
            // Answers are not held up by the handler, and this one comes behind.
            connection.perform("Join", "somewhere")
            holds(!outcome.isCompleted) { "acknowledged before the handler has ended" }
            gate.complete(Unit)
            same("acknowledged", within("the outcome") { outcome.await() })
        }
    }

    scenario("ack.nack") {
        val judge = connected(server.delivery)
        val connection = connected(server.delivery)
        connection.on("note") { _: Note -> }
        connection.on("note") { _: Note -> error("this one I do not like") }
        val id: String = connection.invoke("Deliver", "note", TEXT)
        same("failed: this one I do not like", within("the outcome") { judge.invoke<String, _>("Outcome", id) })
        val nobody: String = connection.invoke("Deliver", "nobody", TEXT)
        same(
            "failed: No handler is registered for 'nobody'.",
            within("the outcome") { judge.invoke<String, _>("Outcome", nobody) },
        )
    }

    scenario("ack.manual") {
        val judge = connected(server.delivery)
        val connection = connected(server.delivery) { delivery { target("note", AckMode.Manual) } }
        val got = Events<Note>()
        connection.on("note") { note: Note -> got.push(note) }
        val ids = List(2) { connection.invoke<String, _, _>("Deliver", "note", TEXT) }
        same(ids, got.take(2).map { it.messageId })
        val outcomes = ids.map { async(start = CoroutineStart.UNDISPATCHED) { judge.invoke<String, _>("Outcome", it) } }
        connection.perform("Join", "somewhere")
        holds(outcomes.none { it.isCompleted }) { "somebody acknowledged" }
        connection.acknowledge(ids[0])
        connection.nack(ids[1], "not me")
        same("acknowledged", within("the outcome") { outcomes[0].await() })
        same("failed: not me", within("the outcome") { outcomes[1].await() })
    }

    scenario("decode-error") {
        val judge = connected(server.delivery)
        val connection = connected(server.delivery)
        val failures = Events<HubEvent.HandlerFailed>()
        val watch = async(start = CoroutineStart.UNDISPATCHED) {
            connection.events.collect { if (it is HubEvent.HandlerFailed) failures.push(it) }
        }
        defer { watch.cancel() }
        connection.on("note") { _: Int -> }
        val id: String = connection.invoke("Deliver", "note", TEXT)
        val outcome: String = within("the outcome") { judge.invoke("Outcome", id) }
        holds(outcome.startsWith("failed: Argument 1 of 'note' is of another type: ")) { outcome }
        val failure = failures.next()
        same("note", failure.target)
        holds(failure.error is HubException.Protocol) { "the error is ${failure.error}" }
        val good = CompletableDeferred<Note>()
        connection.on("other") { note: Note -> good.complete(note) }
        val next: String = connection.invoke("Deliver", "other", TEXT)
        same(next, within("another message") { good.await() }.messageId)
        // Of several arguments, the one that is wrong.
        val plain = connected()
        val errors = Events<HubEvent.HandlerFailed>()
        val follow = async(start = CoroutineStart.UNDISPATCHED) {
            plain.events.collect { if (it is HubEvent.HandlerFailed) errors.push(it) }
        }
        defer { follow.cancel() }
        plain.on("three") { _: Int, _: List<String>, _: Int -> }
        plain.perform("ToCallerThree", "three", 1, 2, 3)
        holds("Argument 2 of 'three'" in errors.next().error.message!!) { "another argument" }
        plain.on("four") { _: Int, _: Int, _: Int, _: Int -> }
        plain.perform("ToCallerThree", "four", 1, 2, 3)
        same("Argument 4 of 'four' is missing: there are 3.", errors.next().error.message)
        yield()
    }

    scenario("batch") {
        for (protocol in HubProtocol.entries) {
            val connection = connected(server.delivery) { this.protocol = protocol }
            val got = Events<Numbered>()
            connection.on("value") { value: Numbered -> got.push(value) }
            val raw = connected(server.delivery) {
                this.protocol = protocol
                delivery { unpackBatches = false }
            }
            val batches = Events<JsonObject>()
            raw.on("valueBatch") { batch: JsonObject -> batches.push(batch) }
            connection.perform("Join", "batch-$protocol")
            raw.perform("Join", "batch-$protocol")
            val values = List(50) { Numbered(it) }
            connection.perform("Batch", "batch-$protocol", "value", values)
            same(values, got.take(50))
            holds(batches.next("a batch").isNotEmpty()) { "the batch is empty" }
        }
    }

    scenario("delta") {
        for (protocol in HubProtocol.entries) {
            val connection = connected(server.delivery) { this.protocol = protocol }
            val whole = Events<Thing>()
            val changes = Events<JsonObject>()
            connection.on("Thing") { thing: Thing -> whole.push(thing) }
            connection.on("ThingDelta") { change: JsonObject -> changes.push(change) }
            val group = "delta-$protocol"
            connection.perform("Join", group)
            connection.perform("Change", group, "Thing", "k", Thing("k", 1, 2))
            same(Thing("k", 1, 2), whole.next("the object"))
            connection.perform("Change", group, "Thing", "k", Thing("k", 5, 2))
            same(Thing("k", 5, 2), whole.next("the changed object"))
            holds("full" in changes.next("the first change")) { "it is not the whole object" }
            val change = changes.next("the change")
            holds("5" in change.toString() && "\"b\"" !in change.toString()) { "the change is $change" }
        }
    }

    scenario("quality") {
        val connection = connection { pingMethod = "ConnectionId" }
        val measured = CompletableDeferred<Quality>()
        val watch = async(start = CoroutineStart.UNDISPATCHED) {
            connection.events.collect { if (it is HubEvent.QualityChanged) measured.complete(it.quality) }
        }
        defer { watch.cancel() }
        same(Grade.Lost, connection.quality.grade, "the grade")
        within("the start") { connection.start() }
        same(Grade.Good, within("the quality") { measured.await() }.grade, "the grade")
        same(Grade.Good, connection.quality.grade, "the grade")
        within("the round trip") { while (connection.metrics().quality.rtt == null) yield() }
        connection.perform("Void", "")
        val metrics = connection.metrics()
        same(1L, metrics.connections, "the connections")
        same(0L, metrics.reconnections, "the reconnections")
        holds(metrics.messagesSent > 0 && metrics.messagesReceived > 0) { "$metrics" }
        holds(metrics.connectLatency!!.isPositive()) { "$metrics" }
        same(emptyList<String>(), connection.positions(), "the positions")
        fails(HubException.Misuse::class, "no position") { HubConnection(server.url) { positions = listOf("x") } }
    }
}
