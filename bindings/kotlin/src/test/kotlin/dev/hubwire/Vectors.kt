package dev.hubwire

import dev.hubwire.internal.ffi.Encoding
import dev.hubwire.internal.ffi.HubFailure
import dev.hubwire.internal.ffi.InspectedMessage
import dev.hubwire.internal.ffi.inspect
import dev.hubwire.internal.ffi.writePayload
import java.io.File
import java.util.HexFormat
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonArray
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive
import kotlinx.serialization.json.boolean
import kotlinx.serialization.json.contentOrNull
import kotlinx.serialization.json.int
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive

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

internal fun Scenarios.vectors() {
    scenario("vectors") {
        val encodings = mapOf(Encoding.JSON to "json", Encoding.MESSAGE_PACK to "messagepack")
        var read = 0
        var written = 0
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
                }
            }
        }
        for (vector in vectors("leniency")) {
            val encoding = encodings.entries.first { it.value == vector.text("encoding") }.key
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
            if (vector["incomplete"]?.jsonPrimitive?.boolean != true) {
                holds(vector.text("reason")!! in error.reason) { "${vector.text("name")}: ${error.reason}" }
            }
            refused++
        }
        println("   $read read, $written written, $refused refused")
        holds(read > 100 && written > 50 && refused > 30) { "too few" }
    }
}
