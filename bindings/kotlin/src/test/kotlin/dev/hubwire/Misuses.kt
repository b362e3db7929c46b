package dev.hubwire

import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.flow.flowOf
import kotlinx.coroutines.flow.toList
import kotlinx.serialization.KSerializer
import kotlinx.serialization.SerializationException
import kotlinx.serialization.Serializable
import kotlinx.serialization.descriptors.PrimitiveKind
import kotlinx.serialization.descriptors.PrimitiveSerialDescriptor
import kotlinx.serialization.encoding.Decoder
import kotlinx.serialization.encoding.Encoder

/** A value that cannot be written. */
@Serializable(with = Unwritable.Refusal::class)
internal class Unwritable {
    object Refusal : KSerializer<Unwritable> {
        override val descriptor = PrimitiveSerialDescriptor("Unwritable", PrimitiveKind.STRING)

        override fun serialize(encoder: Encoder, value: Unwritable) = throw SerializationException("no words for this")

        override fun deserialize(decoder: Decoder) = Unwritable()
    }
}

/** Nothing can write it. */
internal class Unknown

internal fun Scenarios.misuses() {
    scenario("misuse") {
        val misuse = HubException.Misuse::class
        val connection = connected()
        fails(misuse) { connection.start() }
        same(ConnectionState.Connected, connection.state.value)
        fails(misuse, "Argument 2 of 'Add' cannot be sent: no words for this") {
            connection.invoke<Int, _, _>("Add", 1, Unwritable())
        }
        fails(misuse) { connection.invoke<Int, _>("Echo", Double.NaN) }
        val unknown = "Serializer for class 'dev.hubwire.Unknown' is not found"
        fails(misuse, unknown) { connection.send("Void", Unknown()) }
        fails(misuse, unknown) { connection.invoke<Unknown, _>("Echo", 1) }
        fails(misuse, unknown) { connection.call<Unknown>("Echo", args(1)) }
        fails(misuse, unknown) { connection.stream<Unknown, _, _>("Count", 1, 0) }
        fails(misuse, unknown) { upload(flowOf(Unknown())) }
        fails(misuse, unknown) { connection.on("unknown") { _: Unknown -> } }
        fails(misuse, unknown) { connection.onRequest("unknown") { _: Int -> Unknown() } }
        fails(misuse) { connection.on("") { } }
        fails(misuse, "bufferSize") { connection.stream<Int>("Count", args(1, 0)) { bufferSize = 0 }.toList() }
        fails(misuse, "timeout") { connection.call<Int>("Add", args(1, 2)) { timeout = (-1).seconds }.await() }
        fails(misuse) { connection.configure(serverTimeout = 0.seconds) }
        fails(misuse) { connection.call<Unit>("Void", args("")) { durable = true }.accepted() }
        connection.onRequest("unwritable") { _: Int -> Unwritable() }
        val answer: Answer = connection.invoke("AskCaller", "unwritable", 1)
        holds("no words for this" in answer.error.orEmpty()) { "$answer" }
        same(0, connection.pendingCalls, "the calls")
        same(3, connection.invoke<Int, _, _>("Add", 1, 2))

        fails(misuse) { HubConnection("not an address") }
        fails(misuse, "serverTimeout") { HubConnection(server.url) { serverTimeout = (-1).seconds } }
        fails(misuse, "maxItems") { HubConnection(server.url) { outbox { maxItems = -1 } } }
        fails(misuse, "maxRetries") { HubConnection(server.url) { maxRetries = -1 } }
        fails(misuse) { HubConnection(server.url) { proxy = "no proxy" } }

        connection.stop()
        connection.stop()
        val late = connection.call<Int>("Add", args(1, 2)) { queue = false }
        fails(HubException::class) { late.await() }
        within("another start") { connection.start() }
        connection.close()
        connection.close()
        fails(misuse, "closed") { connection.start() }
        fails(misuse, "closed") { connection.stop() }
        fails(misuse, "closed") { connection.invoke<Int, _, _>("Add", 1, 2) }
        fails(misuse, "closed") { connection.send("Void", "") }
        fails(misuse, "closed") { connection.stream<Int, _, _>("Count", 1, 0).toList() }
        fails(misuse, "closed") { connection.metrics() }
        fails(misuse, "closed") { connection.acknowledge("1") }
        connection.hint(Hint.Online)
        connection.awaitState(ConnectionState.Disconnected)
    }
}
