package dev.hubwire

import dev.hubwire.internal.MessagePackMark
import kotlin.io.encoding.Base64
import kotlin.time.Instant
import kotlinx.serialization.KSerializer
import kotlinx.serialization.SerializationException
import kotlinx.serialization.descriptors.PrimitiveKind
import kotlinx.serialization.descriptors.PrimitiveSerialDescriptor
import kotlinx.serialization.descriptors.SerialDescriptor
import kotlinx.serialization.encoding.Decoder
import kotlinx.serialization.encoding.Encoder
import kotlinx.serialization.json.JsonEncoder
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive

/**
 * Binary data as .NET has them: `@Serializable(with = Base64Bytes::class) val data: ByteArray`. A text in base64 in
 * JSON, binary in MessagePack. Arguments and results that are a [ByteArray] themselves are always written this way.
 */
public object Base64Bytes : KSerializer<ByteArray> {
    override val descriptor: SerialDescriptor =
        PrimitiveSerialDescriptor("dev.hubwire.Base64Bytes", PrimitiveKind.STRING)

    override fun serialize(encoder: Encoder, value: ByteArray) {
        encoder.encodeMarked("\$binary", Base64.encode(value))
    }

    override fun deserialize(decoder: Decoder): ByteArray = try {
        Base64.decode(decoder.decodeString())
    } catch (error: IllegalArgumentException) {
        if (error is SerializationException) throw error
        throw SerializationException("it is not base64: ${error.message}", error)
    }
}

/**
 * A moment: `@Serializable(with = Timestamp::class) val at: Instant`. A text as in RFC 3339 in JSON, a timestamp in
 * MessagePack.
 */
public object Timestamp : KSerializer<Instant> {
    override val descriptor: SerialDescriptor =
        PrimitiveSerialDescriptor("dev.hubwire.Timestamp", PrimitiveKind.STRING)

    override fun serialize(encoder: Encoder, value: Instant) {
        encoder.encodeMarked("\$timestamp", value.toString())
    }

    override fun deserialize(decoder: Decoder): Instant = try {
        Instant.parse(decoder.decodeString())
    } catch (error: IllegalArgumentException) {
        if (error is SerializationException) throw error
        throw SerializationException("it is no time as in RFC 3339: ${error.message}", error)
    }
}

/** At the border everything is JSON; what JSON has no word for is marked where it becomes MessagePack. */
private fun Encoder.encodeMarked(mark: String, text: String) {
    if (this is JsonEncoder && serializersModule.getContextual(MessagePackMark::class) != null) {
        encodeJsonElement(JsonObject(mapOf(mark to JsonPrimitive(text))))
    } else {
        encodeString(text)
    }
}
