package dev.hubwire

import dev.hubwire.internal.Argument
import kotlinx.coroutines.flow.Flow
import kotlinx.serialization.KSerializer
import kotlinx.serialization.Serializable
import kotlinx.serialization.SerializationException
import kotlinx.serialization.descriptors.SerialDescriptor
import kotlinx.serialization.descriptors.buildClassSerialDescriptor
import kotlinx.serialization.encoding.Decoder
import kotlinx.serialization.encoding.Encoder

/** The arguments of a call, each with its type: see [args]. */
public class HubArguments @PublishedApi internal constructor(
    @PublishedApi internal val list: List<Argument>,
)

/** A flow whose items are an argument: see [upload]. */
@Serializable(with = UploadSerializer::class)
public class Upload<T> @PublishedApi internal constructor(
    internal val items: Flow<T>,
    internal val serializer: KSerializer<T>,
)

/**
 * The argument for a stream parameter of a hub method. The flow is collected when the call was sent, on the dispatcher
 * of the connection, and no faster than the server reads. If it fails, so does the argument on the server.
 */
public inline fun <reified T> upload(items: Flow<T>): Upload<T> = Upload(items, serializerOf<T>())

/** So that an [Upload] may stand where values do; its items are what is written. */
internal class UploadSerializer<T>(items: KSerializer<T>) : KSerializer<Upload<T>> {
    override val descriptor: SerialDescriptor = buildClassSerialDescriptor("dev.hubwire.Upload", items.descriptor)

    override fun serialize(encoder: Encoder, value: Upload<T>): Nothing =
        throw SerializationException("an upload can only be an argument")

    override fun deserialize(decoder: Decoder): Nothing = throw SerializationException("an upload cannot be read")
}
