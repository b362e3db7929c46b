package dev.hubwire.internal

import dev.hubwire.HubException
import dev.hubwire.Upload
import java.util.concurrent.ConcurrentHashMap
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.Job
import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.ensureActive
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.launch

/** The uploads of a connection. */
internal class Uploads(private val link: Link) {
    private val active = ConcurrentHashMap<Long, Job>()

    /** Counts how often there was room. */
    private val rooms = MutableStateFlow(0L)

    /** An upload of a call that is about to be made. */
    fun add(id: Long, upload: Upload<*>) {
        val job = link.scope.launch(start = CoroutineStart.LAZY) { drain(id, upload) }
        active[id] = job
        job.invokeOnCompletion { active.remove(id) }
    }

    /** Its call was sent. */
    fun start(id: Long) {
        active[id]?.start()
    }

    /** Nobody wants more of them. */
    fun stop(ids: List<Long>) {
        ids.forEach { active[it]?.cancel() }
    }

    fun room() {
        rooms.value++
    }

    private suspend fun drain(id: Long, upload: Upload<*>) {
        var isUnwanted = false
        val failure: String? = try {
            upload.items.collect { item ->
                val value = link.codec.encode("An item of an upload", upload.serializer, item)
                val before = rooms.value
                val hasRoom = try {
                    link.native { upload(id.toULong(), value) }
                } catch (error: HubException.Cancelled) {
                    isUnwanted = true
                    throw error
                }
                if (!hasRoom) {
                    rooms.first { it != before }
                }
            }
            null
        } catch (error: Throwable) {
            // Stopped by the server or with the call: there is nobody to tell.
            if (error is CancellationException) {
                currentCoroutineContext().ensureActive()
            }
            if (isUnwanted) {
                return
            }
            textOf(error)
        }
        link.quietly { endUpload(id.toULong(), failure) }
    }
}
