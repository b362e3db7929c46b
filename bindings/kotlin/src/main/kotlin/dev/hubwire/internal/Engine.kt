package dev.hubwire.internal

import dev.hubwire.internal.ffi.Batch
import dev.hubwire.internal.ffi.Connection
import dev.hubwire.internal.ffi.Notice
import dev.hubwire.internal.ffi.Reader
import dev.hubwire.internal.ffi.Settings
import dev.hubwire.internal.ffi.connect
import java.lang.ref.WeakReference
import java.util.concurrent.ConcurrentHashMap
import kotlin.concurrent.thread

/** A place in the registry. */
internal class Anchor(link: Link) {
    val link = WeakReference(link)

    /** Set while something is going on: nobody else may hold the link then. */
    @Volatile
    var held: Link? = null
}

/**
 * The connections of the process, and the one thread that reads for them. The thread is there as long as a connection
 * is. It runs no code of applications, and never waits for any.
 */
internal object Engine {
    const val THREAD = "hubwire"
    private const val MAX_FAILURES = 3
    private val lock = Any()
    private val anchors = ConcurrentHashMap<Long, Anchor>()

    /** Makes the connection of a link. What happens on it comes to that from then on, maybe before this returns. */
    fun open(anchor: Anchor, settings: Settings): Connection {
        // Nothing is looked up until the place is taken.
        synchronized(lock) {
            val opened = connect(settings)
            anchors[opened.connection.number().toLong()] = anchor
            opened.reader?.let { reader -> thread(name = THREAD, isDaemon = true) { read(reader) } }
            return opened.connection
        }
    }

    private fun read(reader: Reader) {
        var failures = 0
        while (true) {
            val batches = try {
                reader.next() ?: break
            } catch (error: Throwable) {
                // One batch is lost; that this happens again and again is not foreseen.
                if (++failures == MAX_FAILURES) break else continue
            }
            failures = 0
            batches.forEach(::dispatch)
        }
        reader.destroy()
    }

    private fun dispatch(batch: Batch) {
        val number = batch.connection.toLong()
        val anchor = anchors[number] ?: synchronized(lock) { anchors[number] } ?: return
        if (batch.notices.lastOrNull() is Notice.Ended) {
            anchors.remove(number)
        }
        anchor.link.get()?.receive(batch.notices)
    }
}
