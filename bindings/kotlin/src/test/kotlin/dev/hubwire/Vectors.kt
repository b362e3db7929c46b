package dev.hubwire

import dev.hubwire.internal.Codec
import dev.hubwire.internal.ffi.Encoding
import dev.hubwire.internal.ffi.ErrorKind
import dev.hubwire.internal.ffi.HubFailure
import dev.hubwire.internal.ffi.InspectedMessage
import dev.hubwire.internal.ffi.inspect
import dev.hubwire.internal.ffi.writePayload
import java.io.File
import java.util.HexFormat
import kotlin.time.Instant
import kotlinx.serialization.KSerializer
import kotlinx.serialization.Serializable
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonArray
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive
import kotlinx.serialization.json.contentOrNull
import kotlinx.serialization.json.int
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import kotlinx.serialization.serializer

private fun vectors(name: String): List<JsonObject> {
    val file = File(System.getProperty("hubwire.tests"), "vectors/$name.json")
    return Json.parseToJsonElement(file.readText()).jsonObject.getValue("vectors").jsonArray.map { it.jsonObject }
}

private fun JsonObject.text(name: String): String? = this[name]?.jsonPrimitive?.contentOrNull

private fun bytes(encoding: Encoding, text: String): ByteArray =
    if (encoding == Encoding.JSON) text.encodeToByteArray() else hex(text)

private fun hex(text: String): ByteArray = HexFormat.of().parseHex(text)

private fun JsonObject.bytes(): ByteArray = text("text")?.encodeToByteArray() ?: hex(text("hex")!!)

private fun compare(name: String, message: JsonObject, found: InspectedMessage) {
    same(message.getValue("type").jsonPrimitive.int, found.messageType.toInt(), "the type of $name")
    same(message.text("invocationId")?.ifEmpty { null }, found.invocationId, "the id of $name")
    same(message.text("target"), found.target, "the target of $name")
    same(message.text("error")?.ifEmpty { null }, found.error?.ifEmpty { null }, "the error of $name")
    same(
        message["streamIds"]?.jsonArray?.map { it.jsonPrimitive.content }.orEmpty(),
        found.streamIds,
        "the stream ids of $name",
    )
    val payload = message["arguments"] ?: message["item"] ?: message["result"]
    if (payload != null && "\$msgpack" !in payload.toString()) {
        val read = Json.parseToJsonElement(found.payload!!.decodeToString())
        holds(alike(payload, read)) { "the payload of $name is $read, not $payload" }
    }
}

/** Numbers are the same as 1 and 1.0. */
private fun alike(a: JsonElement, b: JsonElement): Boolean = when (a) {
    is JsonObject -> b is JsonObject && a.keys == b.keys && a.all { (key, value) -> alike(value, b.getValue(key)) }
    is JsonArray -> b is JsonArray && a.size == b.size && a.indices.all { alike(a[it], b[it]) }
    is JsonNull -> b is JsonNull
    is JsonPrimitive -> b is JsonPrimitive && a.isString == b.isString &&
        (a.content == b.content || !a.isString && a.content.toDoubleOrNull() == b.content.toDoubleOrNull())
}

/** A payload as an application has it, by the codec of a connection; written by it, it travels as it came. */
private class Shape<T>(private val serializer: KSerializer<T>, private val expected: T, private val writes: Boolean) {
    fun check(name: String, encoding: Encoding, found: InspectedMessage) {
        val protocol = if (encoding == Encoding.JSON) HubProtocol.Json else HubProtocol.MessagePack
        val codec = Codec(Json, protocol)
        val value = codec.decode({ name }, serializer, found.payload!!)
        holds(equal(value, expected)) { "$name is $value, not $expected" }
        if (writes) {
            val written = writePayload(encoding, codec.encode(name, serializer, expected))
            holds(written.contentEquals(found.encoded)) { "$name is written in another way" }
        }
    }

    private fun equal(a: Any?, b: Any?) = if (a is ByteArray && b is ByteArray) a.contentEquals(b) else a == b
}

private inline fun <reified T> shape(expected: T, writes: Boolean = true) = Shape(serializer<T>(), expected, writes)

@Serializable
private data class Item(val n: Int, val text: String)

@Serializable
private data class Result(val list: List<JsonElement>, val ok: Boolean)

/** What some vectors are in Kotlin. The members of a class are written in the order of the class. */
private val SHAPES: Map<String, Shape<*>> = mapOf(
    "invocation-blocking" to shape(listOf(42)),
    "invocation-17-keys" to shape(listOf(('a'..'q').withIndex().associate { (index, key) -> "k$key" to index })),
    "text-argument-emoji" to shape(
        listOf("\uD83D\uDE00 \uD83D\uDC69\u200D\uD83D\uDC69\u200D\uD83D\uDC67 \uD83C\uDDF9\uD83C\uDDF7"),
    ),
    "text-item-quotes" to shape("say \"hi\" \\ and / done"),
    "text-item-controls" to shape("a\bb\u000Cc\nd\re\tf\u0000g\u0001h\u001Ei\u001Fj\u007Fk"),
    "value-result-true" to shape(true),
    "value-result-null" to shape<Int?>(null),
    "value-result-float-pi" to shape(Math.PI),
    "value-result-float-tenth" to shape(0.1),
    "integer-127" to shape(Byte.MAX_VALUE),
    "integer-65535" to shape(UShort.MAX_VALUE),
    "integer-4294967296" to shape(4_294_967_296),
    "integer-minus-9007199254740991" to shape(-9_007_199_254_740_991),
    "array-length-16" to shape(List(16) { 0.0 }, writes = false),
    "item-object" to shape(Item(1, "x")),
    "completion-object" to shape(Result(listOf(JsonPrimitive(1), JsonPrimitive("two"), JsonNull), true)),
    "completion-empty-object" to shape(emptyMap<String, String>()),
    "binary-empty" to shape(ByteArray(0)),
    "binary-256-bytes" to shape(ByteArray(256) { 0xAB.toByte() }),
    "timestamp-32" to shape(Instant.fromEpochSeconds(1_744_830_464)),
    "timestamp-64" to shape(Instant.fromEpochSeconds(1_744_830_464, 50_000_000)),
    "timestamp-96" to shape(Instant.fromEpochSeconds(-2_048)),
    "uint64-max" to shape(ULong.MAX_VALUE),
    "int64-min" to shape(Long.MIN_VALUE),
    "float-32" to shape(1f, writes = false),
)

/**
 * The golden vectors through the border, and then through the decoder of an application. Handshakes, negotiate responses
 * and the lists of `delivery.json` do not cross the border: the core reads them, and its tests have them.
 */
internal fun Scenarios.vectors() {
    scenario("vectors") {
        val encodings = mapOf(Encoding.JSON to "json", Encoding.MESSAGE_PACK to "messagepack")
        var read = 0
        var written = 0
        val typed = mutableSetOf<String>()
        for (vector in vectors("messages")) {
            for ((encoding, side) in encodings) {
                val texts = vector[side]?.jsonObject ?: continue
                val name = "${vector.text("name")} in $side"
                for (kind in listOf("canonical", "official", "decode")) {
                    val text = texts.text(kind) ?: continue
                    val found = checkNotNull(inspect(encoding, bytes(encoding, text))) { "$name is of no type" }
                    compare("$name, $kind", vector.getValue("message").jsonObject, found)
                    read++
                    val payload = found.payload
                    if (kind == "canonical" && payload != null && "\$msgpack" !in vector.toString()) {
                        val again = writePayload(encoding, payload)
                        holds(again.contentEquals(found.encoded)) { "$name is written in another way" }
                        written++
                    }
                    val shape = SHAPES[vector.text("name")]
                    if (kind == "canonical" && shape != null) {
                        shape.check(name, encoding, found)
                        typed += vector.text("name")!!
                    }
                }
            }
        }
        for (vector in vectors("leniency")) {
            val encoding = encodings.entries.first { it.value == vector.text("encoding") }.key
            // Chunks of several messages are for the core: the border has them one by one.
            val message = vector["message"] ?: continue
            val found = inspect(encoding, vector.bytes())
            if (message is JsonNull) {
                same(null, found, vector.text("name")!!)
            } else {
                compare(vector.text("name")!!, message.jsonObject, checkNotNull(found))
            }
            read++
        }
        var refused = 0
        for (vector in vectors("malformed")) {
            val encoding = encodings.entries.first { it.value == vector.text("encoding") }.key
            val error = fails(HubFailure.Failed::class) {
                inspect(encoding, vector.bytes())
            }
            same(ErrorKind.PROTOCOL, error.kind, "the kind of ${vector.text("name")}")
            val reason = vector.text("reason") ?: "The message is not whole."
            holds(reason in error.reason) { "${vector.text("name")}: ${error.reason}" }
            refused++
        }
        println("   $read read, $written written, ${typed.size} as types, $refused refused")
        same(SHAPES.keys, typed, "the vectors read as types")
        holds(read > 500 && written > 200 && refused > 150) { "too few" }
    }
}
