package dev.hubwire.internal

import dev.hubwire.CommonCallOptions
import dev.hubwire.HubArguments
import dev.hubwire.HubException
import dev.hubwire.Upload
import dev.hubwire.internal.ffi.CallKind
import java.util.concurrent.ConcurrentHashMap
import kotlinx.coroutines.CancellableContinuation
import kotlinx.coroutines.suspendCancellableCoroutine

/** What waits for the end of a call. Called on the reader's thread: it must not wait and not run foreign code. */
internal abstract class Pending {
    /** The uploads of the call. */
    var uploads: List<Long> = emptyList()

    /** What was only sent may still be uploading when it has ended well. */
    var isSend = false

    /** It ended, with what it gave. */
    abstract fun completed(value: ByteArray?)

    /** It came to nothing. */
    abstract fun failed(error: HubException)

    /** The next item; true if its cost may be released at once. */
    open fun item(value: ByteArray, cost: Long): Boolean = true

    /** It was accepted and waits. */
    open fun queued() = Unit
}

/** The calls that have not ended, by id. */
internal class Calls(private val link: Link) {
    private val entries = ConcurrentHashMap<Long, Pending>()
    private val uploads = Uploads(link)
    private val lock = Any()
    private var lastId = 0L

    val size: Int get() = entries.size

    /**
     * Makes a call and returns its id. Throws what encoding and the command throw; [pending] hears nothing then.
     */
    fun make(
        kind: CallKind,
        target: String,
        arguments: HubArguments,
        options: CommonCallOptions?,
        pending: Pending,
    ): Long {
        val encoded = link.codec.encodeList(target, arguments.list)
        val streams = arguments.list.mapNotNullFast { it.value as? Upload<*> }
        val settings = options?.toWire()
        pending.isSend = kind == CallKind.SEND
        val id: Long
        val isOver: Boolean
        // Ids have to come to the core in growing order.
        synchronized(lock) {
            id = ++lastId
            if (streams.isNotEmpty()) {
                pending.uploads = streams.map { (++lastId).also { upload -> uploads.add(upload, it) } }
            }
            entries[id] = pending
            try {
                isOver = link.native {
                    call(id.toULong(), kind, target, encoded, pending.uploads.map(Long::toULong), settings)
                }
            } catch (error: Throwable) {
                entries.remove(id)
                uploads.stop(pending.uploads)
                throw error
            }
        }
        if (isOver) {
            // Its uploads go on.
            entries.remove(id)?.completed(null)
        }
        link.anchor()
        return id
    }

    /** A call that the store brought back. */
    fun restore(id: Long, pending: Pending) {
        entries[id] = pending
    }

    /** Takes a call back; its end comes as any other. */
    fun cancel(id: Long) {
        if (entries.containsKey(id)) {
            link.quietly { cancel(id.toULong()) }
        }
    }

    /** Makes a call and waits for its end. Cancelling that cancels the call. */
    suspend fun run(
        kind: CallKind,
        target: String,
        arguments: HubArguments,
        options: CommonCallOptions?,
    ): ByteArray? = suspendCancellableCoroutine { continuation ->
        // Cancelled before: never made.
        if (continuation.isActive) {
            val pending = Waiting(link, continuation)
            try {
                val id = make(kind, target, arguments, options, pending)
                if (!pending.isOver) {
                    continuation.invokeOnCancellation { cancel(id) }
                }
            } catch (error: HubException) {
                continuation.resumeWith(Result.failure(error))
            }
        }
    }

    fun completed(id: Long, value: ByteArray?) {
        val pending = entries.remove(id) ?: return
        if (!pending.isSend) {
            stopUploads(pending)
        }
        pending.completed(value)
    }

    fun failed(id: Long, error: HubException) {
        val pending = entries.remove(id) ?: return
        stopUploads(pending)
        pending.failed(error)
    }

    /** Returns whether the cost may be released at once. */
    fun item(id: Long, value: ByteArray, cost: Long): Boolean = entries[id]?.item(value, cost) ?: true

    fun queued(id: Long) {
        entries[id]?.queued()
    }

    fun uploadStarted(upload: Long) = uploads.start(upload)

    fun uploadStopped(upload: Long) = uploads.stop(listOf(upload))

    fun room() = uploads.room()

    /** Ends them all. */
    fun end(error: () -> HubException) {
        entries.keys.forEach { failed(it, error()) }
    }

    private fun stopUploads(pending: Pending) {
        if (pending.uploads.isNotEmpty()) {
            uploads.stop(pending.uploads)
        }
    }
}

private class Waiting(
    private val link: Link,
    private val continuation: CancellableContinuation<ByteArray?>,
) : Pending() {
    @Volatile
    var isOver = false
        private set

    override fun completed(value: ByteArray?) = end(Result.success(value))

    override fun failed(error: HubException) = end(Result.failure(error))

    private fun end(result: Result<ByteArray?>) {
        isOver = true
        link.resume(continuation, result)
    }
}

/** Most lists have none of them, and then nothing is allocated. */
private inline fun <T, R : Any> List<T>.mapNotNullFast(transform: (T) -> R?): List<R> {
    var found: MutableList<R>? = null
    for (index in indices) {
        val value = transform(this[index]) ?: continue
        (found ?: mutableListOf<R>().also { found = it }) += value
    }
    return found ?: emptyList()
}
