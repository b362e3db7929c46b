package dev.hubwire

import kotlin.io.encoding.Base64
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.seconds
import kotlin.time.Instant
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitAll
import kotlinx.coroutines.awaitCancellation
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.flow.flow
import kotlinx.serialization.Serializable
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonPrimitive

@Serializable
internal data class Point(val x: Int, val y: Double, val name: String? = null, val tags: List<String> = emptyList())

@Serializable
internal class Blob(
    @Serializable(with = Base64Bytes::class) val data: ByteArray,
    @Serializable(with = Timestamp::class) val at: Instant,
)

/** A request that the server noted; its headers by their names in lower case. */
@Serializable
internal class SeenRequest(val kind: String, val headers: Map<String, String>)

internal fun Scenarios.calls() {
    for (transport in Transport.entries) {
        for (protocol in HubProtocol.entries) {
            scenario("connect.$transport.${protocol.name.lowercase()}") {
                val connection = connection {
                    transports = setOf(transport)
                    this.protocol = protocol
                    retryFirstStart = false
                }
                if (transport == Transport.ServerSentEvents && protocol == HubProtocol.MessagePack) {
                    val error = fails(HubException.Refused::class) { connection.start() }
                    holds("transports" in error.message!!) { error.message!! }
                    return@scenario
                }
                within("the start") { connection.start() }
                same(ConnectionState.Connected, connection.state.value, "the state")
                val sum: Int = connection.invoke("Add", 1, 2)
                same(3, sum)
                within("the stop") { connection.stop() }
                same(ConnectionState.Disconnected, connection.state.value, "the state")
            }
        }
    }

    scenario("invoke") {
        for (protocol in HubProtocol.entries) {
            val connection = connected { this.protocol = protocol }
            same("text \u00e4\ud83d\ude00", connection.invoke<String, _>("Echo", "text \u00e4\ud83d\ude00"))
            same(true, connection.invoke<Boolean, _>("Echo", true))
            same(Long.MIN_VALUE, connection.invoke<Long, _>("Echo", Long.MIN_VALUE))
            same(1.5, connection.invoke<Double, _>("Echo", 1.5))
            same(null, connection.invoke<String?, String?>("Echo", null))
            same(JsonNull, connection.invoke<JsonElement, String?>("Echo", null))
            same(listOf(1, 2), connection.invoke<List<Int>, _>("Echo", listOf(1, 2)))
            same(mapOf("a" to listOf(1)), connection.invoke<Map<String, List<Int>>, _>("Echo", mapOf("a" to listOf(1))))
            val point = Point(1, 2.5, null, listOf("a", "b"))
            val echoed: Point = connection.invoke("Echo", point)
            same(point, echoed)
            connection.perform("Void", "text")
            connection.invoke<Unit>("Void", args("text"))
            same(connection.connectionId, connection.invoke<String>("ConnectionId"), "the id")
            same(3, connection.call<Int>("Add", args(1, 2)) { timeout = 5.seconds }.await())
            connection.send("Void", "text")
        }
    }

    scenario("errors") {
        val connection = connected()
        val text = "An unexpected error occurred invoking 'ThrowHub' on the server. HubException: no"
        val error = fails(HubException.Refused::class) { connection.perform("ThrowHub", "no") }
        same(text, error.message)
        same(ErrorKind.Refused, error.kind)
        same(
            "An unexpected error occurred invoking 'Throw' on the server.",
            fails(HubException.Refused::class) { connection.perform("Throw", "secret") }.message,
        )
        fails(HubException.Refused::class, "Unknown hub method 'Nope'") { connection.perform("Nope") }
        fails(HubException.Refused::class, "Failed to invoke 'Add'") { connection.invoke<Int, _, _>("Add", "a", 1) }
        fails(HubException.Protocol::class, "The result of 'Echo' is of another type: ") {
            connection.invoke<Int, _>("Echo", "text")
        }
        fails(HubException.Protocol::class, "The result of 'Echo' is of another type: ") {
            connection.invoke<Int, String?>("Echo", null)
        }
        same(3, connection.invoke<Int, _, _>("Add", 1, 2))
    }

    scenario("concurrent") {
        val connection = connected()
        val results = within("the results") {
            List(1_000) { async { connection.invoke<Int, _, _>("Add", it, 1) } }.awaitAll()
        }
        same(List(1_000) { it + 1 }, results)
        same(0, connection.pendingCalls, "the calls")
    }

    scenario("cancel.call") {
        val asker = connected()
        for (protocol in HubProtocol.entries) {
            val connection = connected { this.protocol = protocol }
            val key = "cancel-${System.nanoTime()}"
            // The method runs, and hears of it.
            val call = async { connection.perform("Hold", key) }
            eventually("the method") { asker.invoke<Boolean, _>("IsHeld", key) }
            same(false, asker.invoke<Boolean, _>("WasCancelled", key), "whether the method was cancelled")
            within("the end of the call", 5.seconds) { call.cancelAndJoin() }
            eventually("the method's end") { asker.invoke<Boolean, _>("WasCancelled", key) }
            // An upload ends here and there.
            val stopped = CompletableDeferred<Unit>()
            val endless = flow {
                emit(1)
                emit(2)
                try {
                    awaitCancellation()
                } finally {
                    stopped.complete(Unit)
                }
            }
            val drain = async { connection.invoke<Int, _, _>("Drain", key, upload(endless)) }
            eventually("the items") { asker.invoke<List<Int>, _>("Noted", "$key-items") == listOf(1, 2) }
            within("the end of the call", 5.seconds) { drain.cancelAndJoin() }
            holds(drain.isCancelled) { "the call was not cancelled" }
            within("the end of the upload") { stopped.await() }
            eventually("the end of the upload on the server") {
                asker.invoke<String?, _>("Drained", key) == "Stream canceled by client."
            }
            // The same by a handle, where the error is ours.
            val held = "$key-handle"
            val handle = connection.call<Unit>("Hold", args(held))
            eventually("the method") { asker.invoke<Boolean, _>("IsHeld", held) }
            handle.cancel()
            fails(HubException.Cancelled::class) { handle.await() }
            eventually("the method's end") { asker.invoke<Boolean, _>("WasCancelled", held) }
            same(3, connection.invoke<Int, _, _>("Add", 1, 2))
            same(0, connection.pendingCalls, "the calls")
        }
    }

    scenario("cancel.before-start") {
        val connection = connection()
        val key = "cancelled-${System.nanoTime()}"
        val kept = connection.call<Unit>("Note", args(key, 1))
        val call = async(start = CoroutineStart.UNDISPATCHED) { connection.perform("Note", key, 2) }
        val never = async(start = CoroutineStart.LAZY) { connection.perform("Note", key, 3) }
        never.cancel()
        call.cancel()
        val error = runCatching { call.await() }.exceptionOrNull()
        holds(error is CancellationException) { "ended with $error" }
        // Cancelled before it was made.
        val cancelled = async(start = CoroutineStart.ATOMIC) { connection.perform("Note", key, 4) }
        cancelled.cancelAndJoin()
        within("the start") { connection.start() }
        kept.await()
        same(listOf(1), connection.invoke<List<Int>, _>("Noted", key))
    }

    scenario("timeout") {
        val connection = connected()
        val call = connection.call<Int>("Sum", args(upload(flow<Int> { awaitCancellation() }))) {
            timeout = 100.milliseconds
        }
        same(ErrorKind.Timeout, fails(HubException.Timeout::class) { call.await() }.kind)
        val limited = connected { callTimeout = 100.milliseconds }
        fails(HubException.Timeout::class) {
            limited.invoke<Int, _>("Sum", upload(flow<Int> { awaitCancellation() }))
        }
        same(3, connection.invoke<Int, _, _>("Add", 1, 2))
    }

    scenario("binary") {
        val bytes = ByteArray(300) { it.toByte() }
        val at = Instant.parse("2026-11-21T22:00:00.123456700Z")
        for (protocol in HubProtocol.entries) {
            val connection = connected { this.protocol = protocol }
            val echoed: ByteArray = connection.invoke("Echo", bytes)
            holds(echoed.contentEquals(bytes)) { "the bytes are others in $protocol" }
            same(at, connection.invoke<Instant, _>("Echo", at))
            val maybe: ByteArray? = bytes
            val echoedMaybe: ByteArray? = connection.invoke("Echo", maybe)
            holds(echoedMaybe.contentEquals(bytes)) { "the bytes that may be null are others in $protocol" }
            val text: JsonElement = connection.invoke("Echo", maybe)
            same(JsonPrimitive(Base64.encode(bytes)), text, "the bytes that may be null")
            same(null, connection.invoke<ByteArray?, ByteArray?>("Echo", null))
            val sometime: Instant? = at
            same(at, connection.invoke<Instant?, _>("Echo", sometime))
            same(null, connection.invoke<Instant?, Instant?>("Echo", null))
            val blob: Blob = connection.invoke("Echo", Blob(bytes, at))
            holds(blob.data.contentEquals(bytes)) { "the bytes of the object are others in $protocol" }
            same(at, blob.at)
            val pushed = Events<ByteArray>()
            connection.on("blob") { value: ByteArray -> pushed.push(value) }
            connection.perform("ToCaller", "blob", bytes)
            holds(pushed.next().contentEquals(bytes)) { "the pushed bytes are others in $protocol" }
        }
    }

    scenario("headers") {
        val asker = connected()
        val url = "${asker.invoke<String>("Watched")}/hubs/interop"
        val headers = mapOf(
            "Authorization" to "Bearer ${Server.token("by-header")}",
            "Cookie" to "a=b",
            "User-Agent" to "mine/1",
            "X-Test" to "one",
        )
        for (transport in Transport.entries) {
            val key = "headers-${System.nanoTime()}"
            val connection = connected("$url?key=$key") {
                transports = setOf(transport)
                headers.forEach { (name, value) -> header(name, value) }
            }
            same("by-header", connection.invoke<String?>("UserId"))
            connection.stop()
            val kinds = setOfNotNull(
                "negotiate",
                transport.name,
                "send".takeIf { transport != Transport.WebSockets },
                "delete".takeIf { transport == Transport.LongPolling },
            )
            var seen = emptyList<SeenRequest>()
            eventually("all requests over $transport") {
                seen = asker.invoke("Requests", key)
                seen.map { it.kind }.toSet() == kinds
            }
            for (request in seen) {
                for ((name, value) in headers) {
                    same(value, request.headers[name.lowercase()], "$name of ${request.kind} over $transport")
                }
            }
        }
        // Without one of the application there is one of the library.
        connected("$url?key=agent")
        for (request in asker.invoke<List<SeenRequest>, _>("Requests", "agent")) {
            val agent = request.headers["user-agent"].orEmpty()
            holds(agent.startsWith("Hubwire/")) { "the user agent of ${request.kind} is '$agent'" }
        }
        fails(HubException.Misuse::class) { HubConnection(server.url) { header("not a name", "x") } }
    }

    scenario("token") {
        for (transport in Transport.entries) {
            var asked = 0
            val connection = connected {
                transports = setOf(transport)
                accessToken {
                    asked++
                    Server.token("user-$transport")
                }
            }
            same("user-$transport", connection.invoke<String?>("UserId"))
            val before = asked
            holds(before > 0) { "the factory was not asked" }
            connection.stop()
            connection.start()
            holds(asked > before) { "the factory was not asked again" }
        }
        val refused = connection {
            retryFirstStart = false
            accessToken { error("no token today") }
        }
        fails(HubException::class, "no token today") { refused.start() }
    }
}
