package dev.hubwire.internal

import dev.hubwire.HubEvent
import dev.hubwire.HubException
import dev.hubwire.internal.ffi.Notice
import java.util.concurrent.ConcurrentHashMap
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.ensureActive
import kotlinx.serialization.KSerializer

/** What the application does with the calls of one method. */
internal class Handler(
    val parameters: List<KSerializer<*>>,
    /** None if it has no result. */
    val result: KSerializer<*>?,
    val action: suspend (Array<Any?>) -> Any?,
)

/** What the application does with calls of the server, by name. The case of names does not matter. */
internal class Handlers(private val link: Link) {
    private class Entry {
        /** Replaced, never changed: handlers may register and remove handlers. */
        @Volatile
        var list: List<Handler> = emptyList()
    }

    private val entries = ConcurrentHashMap<String, Entry>()

    /** The same by the names as they come, so that they are not folded for every message. */
    private val spellings = ConcurrentHashMap<String, Entry>()

    val isEmpty: Boolean get() = entries.values.all { it.list.isEmpty() }

    fun add(target: String, handler: Handler) {
        val entry = entries.computeIfAbsent(target.lowercase()) { Entry() }
        synchronized(entry) { entry.list += handler }
    }

    fun remove(target: String, handler: Handler) {
        val entry = entries[target.lowercase()] ?: return
        synchronized(entry) { entry.list = entry.list.filter { it !== handler } }
    }

    /**
     * Runs the handlers of one message, in order; one that fails does not stop the others. Gives up as soon as the
     * message [isWanted] no more: whoever would hear of its end is gone by then.
     */
    suspend fun run(message: Notice.Invocation, isWanted: () -> Boolean) {
        val target = message.target
        val list = find(target)?.list.orEmpty()
        var failure = if (list.isEmpty()) "No handler is registered for '$target'." else null
        var thrown: String? = null
        var answer: ByteArray? = null
        var answers = 0
        for (handler in list) {
            if (!isWanted()) {
                return
            }
            try {
                val value = handler.action(decode(handler, message))
                if (message.reply != null && handler.result != null) {
                    answer = link.codec.encode("The result of '$target'", handler.result, value)
                    answers++
                    thrown = null
                }
            } catch (error: Throwable) {
                if (error is CancellationException) {
                    // Of the connection, or of something inside the handler.
                    currentCoroutineContext().ensureActive()
                }
                thrown = textOf(error)
                failure = failure ?: thrown
                link.tell { it.emit(HubEvent.HandlerFailed(target, error)) }
            }
        }
        message.reply?.let { reply ->
            try {
                link.native {
                    when {
                        answers > 1 -> replyError(reply, "Client provided multiple results.")
                        thrown != null -> replyError(reply, thrown)
                        answer != null -> reply(reply, answer)
                        else -> replyNone(reply)
                    }
                }
            } catch (error: HubException) {
                // The border does not take everything that can be written; and the server waits.
                if (!link.isClosed) {
                    link.tell { it.emit(HubEvent.HandlerFailed(target, error)) }
                    link.quietly { replyError(reply, textOf(error)) }
                }
            }
        }
        message.delivery?.let { delivery -> link.quietly { handled(delivery, failure) } }
    }

    private fun decode(handler: Handler, message: Notice.Invocation): Array<Any?> {
        val parameters = handler.parameters
        val arguments = message.arguments
        return Array(parameters.size) { index ->
            val parameter = parameters[index]
            when {
                index < arguments.size ->
                    link.codec.decode({ "Argument ${index + 1} of '${message.target}'" }, parameter, arguments[index])
                parameter.descriptor.isNullable -> null
                else -> throw HubException.Protocol(
                    "Argument ${index + 1} of '${message.target}' is missing: there are ${arguments.size}.",
                )
            }
        }
    }

    private fun find(target: String): Entry? = spellings[target] ?: entries[target.lowercase()]?.also {
        // Names come from outside.
        if (spellings.size >= MAX_SPELLINGS) {
            spellings.clear()
        }
        spellings[target] = it
    }

    private companion object {
        const val MAX_SPELLINGS = 1_000
    }
}

/** What is said of something that application code threw. */
internal fun textOf(error: Throwable): String = error.message ?: error::class.simpleName ?: "unknown error"
