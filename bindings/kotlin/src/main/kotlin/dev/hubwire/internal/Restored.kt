package dev.hubwire.internal

import dev.hubwire.HubException
import dev.hubwire.RestoredCall
import kotlinx.coroutines.CompletableDeferred

/** The calls that the store held. */
internal class Restored(private val link: Link) {
    val calls = CompletableDeferred<List<RestoredCall>>()

    init {
        if (link.options.outbox?.path == null) {
            calls.complete(emptyList())
        }
    }

    /** On the reader's thread. */
    fun read(found: List<dev.hubwire.internal.ffi.RestoredCall>) {
        val list = found.map { (id, target) ->
            val result = CompletableDeferred<ByteArray?>()
            link.calls.restore(id.toLong(), Later(link, result))
            RestoredCall(target, result) { link.calls.cancel(id.toLong()) }
        }
        link.tell { calls.complete(list) }
    }

    fun end(error: HubException) {
        link.tell { calls.completeExceptionally(error) }
    }
}

/** Completes what several may wait for, not on the reader's thread. */
internal class Later(
    private val link: Link,
    private val result: CompletableDeferred<ByteArray?>,
    private val onAccepted: (HubException?) -> Unit = {},
) : Pending() {
    override fun completed(value: ByteArray?) = link.tell {
        onAccepted(null)
        result.complete(value)
    }

    override fun failed(error: HubException) = link.tell {
        onAccepted(error)
        result.completeExceptionally(error)
    }

    override fun queued() = link.tell { onAccepted(null) }
}
