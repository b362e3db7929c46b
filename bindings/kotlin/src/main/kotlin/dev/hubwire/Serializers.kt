package dev.hubwire

import dev.hubwire.internal.Codec
import kotlinx.serialization.KSerializer
import kotlinx.serialization.serializer

/** What reads and writes that type. Throws misuse if nothing does. */
@PublishedApi
internal inline fun <reified T> serializerOf(): KSerializer<T> = try {
    serializer<T>()
} catch (error: IllegalArgumentException) {
    throw unserializable(error)
}

@PublishedApi
internal fun unserializable(error: IllegalArgumentException): HubException =
    HubException.Misuse("The type cannot be sent or read: ${Codec.firstLine(error)}", error)
