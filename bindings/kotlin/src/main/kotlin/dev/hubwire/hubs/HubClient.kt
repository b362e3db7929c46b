package dev.hubwire.hubs

import dev.hubwire.HubCall
import dev.hubwire.HubConnection
import dev.hubwire.HubConnectionOptions
import dev.hubwire.HubException
import dev.hubwire.JoinMethod
import dev.hubwire.Registration
import kotlinx.coroutines.CancellationException
import kotlinx.serialization.KSerializer
import kotlinx.serialization.SerializationException
import kotlinx.serialization.builtins.nullable
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.serializer

/** What a connection to a hub needs to know of it: for a [dev.hubwire.HubManager], or for [hub]. */
public class HubDefinition(
    /** Below the address of the server, with a slash in front. */
    public val path: String,
    /** Methods that join something, which are called again after a new connection. */
    public val joins: List<JoinMethod> = emptyList(),
    /** A method without arguments that answers at once, to measure the quality of the connection. */
    public val pingMethod: String? = null,
)

/** Tells a connection what is to be known of a hub. */
public fun HubConnectionOptions.hub(definition: HubDefinition) {
    definition.joins.forEach { rejoin(it.join, it.leave) }
    definition.pingMethod?.let { pingMethod = it }
}

/**
 * The base of clients for one hub. A client for another hub is a class with a method for each method of the hub, one
 * for each event, and a [HubDefinition].
 */
public abstract class HubClient(
    /** For everything that is not about this hub: start, stop, states, events of the connection. */
    public val connection: HubConnection,
) {
    /**
     * Runs [handler] with what the event says. Servers send some events as one object and some as a list of its
     * [fields]; both become an object.
     */
    protected fun <T> on(
        target: String,
        fields: List<String>,
        event: KSerializer<T>,
        handler: suspend (T, JsonObject) -> Unit,
    ): Registration {
        val element = serializer<JsonElement>().nullable
        return connection.register(target, List(maxOf(fields.size, 1)) { element }, null) { arguments ->
            val whole = arguments[0] as? JsonObject ?: JsonObject(
                fields.indices.associate { fields[it] to (arguments[it] as JsonElement? ?: JsonNull) },
            )
            val value = try {
                events.decodeFromJsonElement(event, whole)
            } catch (error: SerializationException) {
                val reason = error.message.orEmpty().lineSequence().first()
                throw HubException.Protocol("Argument 1 of '$target' is of another type: $reason", error)
            }
            handler(value, whole)
        }
    }

    /** Waits for the end of the call. Cancelling that cancels the call, too. */
    protected suspend fun <R> HubCall<R>.awaitOrCancel(): R = try {
        await()
    } catch (error: CancellationException) {
        cancel()
        throw error
    }

    private companion object {
        val events = Json {
            ignoreUnknownKeys = true
            coerceInputValues = true
        }
    }
}
