package dev.hubwire.internal

import dev.hubwire.internal.ffi.Notice
import kotlinx.coroutines.launch
import kotlinx.coroutines.yield

/** Calls of the server that wait for their handlers, which run one at a time and in order. */
internal class Mailbox(private val link: Link, private val handlers: Handlers) {
    private val lock = Any()
    private var queue = ArrayList<Notice.Invocation>()
    private var isDraining = false

    /** Grows when everything that waits is dropped. */
    @Volatile
    private var epoch = 0

    /** Of the reader's thread: what came in the batch that it is at. */
    private var incoming = ArrayList<Notice.Invocation>()
    private var incomingEpoch = 0

    fun add(message: Notice.Invocation) {
        if (incoming.isEmpty()) {
            // Before the look at the stop: one that is asked for in between is seen by [flush].
            incomingEpoch = epoch
        }
        if (link.lifecycle.isStopping) {
            link.release(message.cost.toLong())
        } else {
            incoming.add(message)
        }
    }

    /** The batch is over. */
    fun flush() {
        if (incoming.isEmpty()) {
            return
        }
        var wakes = false
        val isWanted = synchronized(lock) {
            val isWanted = incomingEpoch == epoch
            if (isWanted) {
                if (queue.isEmpty()) {
                    queue = incoming.also { incoming = queue }
                } else {
                    queue.addAll(incoming)
                    incoming.clear()
                }
                wakes = !isDraining
                isDraining = true
            }
            isWanted
        }
        if (!isWanted) {
            incoming.forEach { link.release(it.cost.toLong()) }
            incoming.clear()
        }
        if (wakes) {
            link.scope.launch { drain() }
        }
    }

    /** Drops what waits. */
    fun clear() {
        val dropped = synchronized(lock) {
            epoch++
            queue.also { queue = ArrayList() }
        }
        dropped.forEach { link.release(it.cost.toLong()) }
    }

    private suspend fun drain() {
        while (true) {
            val batch: ArrayList<Notice.Invocation>
            val begun: Int
            synchronized(lock) {
                if (queue.isEmpty()) {
                    isDraining = false
                    return
                }
                batch = queue
                queue = ArrayList()
                begun = epoch
            }
            for (message in batch) {
                if (epoch == begun) {
                    handlers.run(message) { epoch == begun }
                }
                link.release(message.cost.toLong())
            }
            // Others want the thread, too.
            yield()
        }
    }
}
