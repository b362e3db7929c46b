package dev.hubwire.internal

import dev.hubwire.Base64Bytes
import dev.hubwire.HubException
import dev.hubwire.HubProtocol
import dev.hubwire.Timestamp
import dev.hubwire.Upload
import kotlin.time.Instant
import kotlinx.serialization.KSerializer
import kotlinx.serialization.SerializationException
import kotlinx.serialization.builtins.ByteArraySerializer
import kotlinx.serialization.builtins.nullable
import kotlinx.serialization.builtins.serializer
import kotlinx.serialization.json.Json
import kotlinx.serialization.modules.SerializersModule
import kotlinx.serialization.modules.plus

/** In the module of a [Json] whose texts become MessagePack. */
internal class MessagePackMark private constructor()

private object MarkSerializer : KSerializer<MessagePackMark> {
    override val descriptor = Unit.serializer().descriptor

    override fun serialize(encoder: kotlinx.serialization.encoding.Encoder, value: MessagePackMark) = Unit

    override fun deserialize(decoder: kotlinx.serialization.encoding.Decoder): MessagePackMark =
        throw SerializationException("This is no value.")
}

/** An argument with what writes it. */
@PublishedApi
internal class Argument(val serializer: KSerializer<*>, val value: Any?)

/** Arguments and results as the JSON of the border. */
internal class Codec(json: Json, protocol: HubProtocol) {
    private val json = if (protocol == HubProtocol.Json) json else Json(json) {
        serializersModule = json.serializersModule + SerializersModule {
            contextual(MessagePackMark::class, MarkSerializer)
        }
    }

    /** The arguments as a list, those left out that are uploaded. Throws misuse. */
    fun encodeList(target: String, arguments: List<Argument>): ByteArray {
        if (arguments.isEmpty()) {
            return EMPTY
        }
        val text = StringBuilder("[")
        for ((index, argument) in arguments.withIndex()) {
            if (argument.value is Upload<*>) {
                continue
            }
            if (text.length > 1) {
                text.append(',')
            }
            text.append(encodeText("Argument ${index + 1} of '$target'", argument.serializer, argument.value))
        }
        return text.append(']').toString().encodeToByteArray()
    }

    fun encode(what: String, serializer: KSerializer<*>, value: Any?): ByteArray =
        encodeText(what, serializer, value).encodeToByteArray()

    private fun encodeText(what: String, serializer: KSerializer<*>, value: Any?): String = try {
        @Suppress("UNCHECKED_CAST")
        json.encodeToString(wire(serializer) as KSerializer<Any?>, value)
    } catch (error: Exception) {
        throw HubException.Misuse("$what cannot be sent: ${firstLine(error)}", error)
    }

    /** Throws a protocol error that begins with [what]. */
    fun <T> decode(what: () -> String, serializer: KSerializer<T>, value: ByteArray): T = try {
        @Suppress("UNCHECKED_CAST")
        json.decodeFromString(wire(serializer) as KSerializer<T>, value.decodeToString())
    } catch (error: Exception) {
        throw HubException.Protocol("${what()} is of another type: ${firstLine(error)}", error)
    }

    private fun wire(serializer: KSerializer<*>): KSerializer<*> = when {
        serializer === BYTES -> Base64Bytes
        serializer === INSTANT -> Timestamp
        // Made anew each time.
        serializer == BYTES_OR_NULL -> BASE64_OR_NULL
        serializer == INSTANT_OR_NULL -> TIMESTAMP_OR_NULL
        else -> serializer
    }

    companion object {
        private val EMPTY = "[]".encodeToByteArray()
        private val BYTES = ByteArraySerializer()
        private val INSTANT = Instant.serializer()
        private val BYTES_OR_NULL = BYTES.nullable
        private val INSTANT_OR_NULL = INSTANT.nullable
        private val BASE64_OR_NULL = Base64Bytes.nullable
        private val TIMESTAMP_OR_NULL = Timestamp.nullable

        /** Decoders quote what they read behind it. */
        fun firstLine(error: Throwable): String =
            (error.message ?: error::class.simpleName ?: "unknown error").lineSequence().first()
    }
}

/** What a call gave, as the type that was asked for. */
internal fun <R> Codec.resultOf(target: String, serializer: KSerializer<R>, value: ByteArray?): R {
    @Suppress("UNCHECKED_CAST")
    return when {
        serializer === UNIT -> Unit as R
        value != null -> decode({ "The result of '$target'" }, serializer, value)
        serializer.descriptor.isNullable -> null as R
        else -> throw HubException.Protocol("The result of '$target' is of another type: there is none.")
    }
}

private val UNIT = Unit.serializer()
