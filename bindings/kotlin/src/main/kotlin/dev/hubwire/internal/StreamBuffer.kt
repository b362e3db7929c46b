package dev.hubwire.internal

import dev.hubwire.HubException
import kotlinx.coroutines.CancellableContinuation
import kotlinx.coroutines.suspendCancellableCoroutine

/** The items of a stream between the reader's thread and who takes them. */
internal class StreamBuffer(private val link: Link, private val limit: Int, private val holdBack: Boolean) :
    Pending() {

    class Item(val value: ByteArray, val cost: Long)

    private val lock = Any()
    private var items = ArrayList<Item>()
    private var waiting: CancellableContinuation<Unit>? = null
    private var error: HubException? = null

    /** Nothing more comes. */
    @Volatile
    var isOver = false
        private set

    private var overflowed = false
    private var cancel: (() -> Unit)? = null

    /** How to take the call back; it may have overflowed by now. */
    fun bind(cancel: () -> Unit) {
        val isLate = synchronized(lock) {
            this.cancel = cancel
            overflowed
        }
        if (isLate) {
            cancel()
        }
    }

    override fun item(value: ByteArray, cost: Long): Boolean {
        var overflows = false
        var cancel: (() -> Unit)? = null
        val waiter: CancellableContinuation<Unit>?
        synchronized(lock) {
            if (isOver) {
                return true
            }
            if (!holdBack && items.size >= limit) {
                overflows = true
                overflowed = true
                isOver = true
                cancel = this.cancel
                error = HubException.Overflow("More than $limit items of the stream wait for a reader.")
            } else {
                items.add(Item(value, cost))
            }
            waiter = takeWaiter()
        }
        cancel?.invoke()
        waiter?.let { link.resume(it, DONE) }
        return !holdBack || overflows
    }

    override fun completed(value: ByteArray?) = end(null)

    override fun failed(error: HubException) = end(error)

    /** What has come since, at least one; none when the stream is over. Throws what it ended with. */
    suspend fun take(): List<Item>? {
        while (true) {
            synchronized(lock) {
                if (items.isNotEmpty()) {
                    return items.also { items = ArrayList() }
                }
                if (isOver) {
                    error?.let { throw it }
                    return null
                }
            }
            suspendCancellableCoroutine { continuation ->
                val ready = synchronized(lock) {
                    val ready = isOver || items.isNotEmpty()
                    if (!ready) {
                        waiting = continuation
                    }
                    ready
                }
                if (ready) {
                    continuation.resumeWith(DONE)
                }
            }
        }
    }

    /** The reader has gone: what waits is not wanted. */
    fun abandon() {
        val left: List<Item>
        synchronized(lock) {
            isOver = true
            left = items
            items = ArrayList()
        }
        left.forEach(::taken)
    }

    /** It was read. */
    fun taken(item: Item) {
        if (holdBack) {
            link.release(item.cost)
        }
    }

    private fun end(error: HubException?) {
        val waiter = synchronized(lock) {
            if (isOver) {
                return
            }
            isOver = true
            this.error = error
            takeWaiter()
        }
        waiter?.let { link.resume(it, DONE) }
    }

    private fun takeWaiter(): CancellableContinuation<Unit>? = waiting.also { waiting = null }

    private companion object {
        val DONE = Result.success(Unit)
    }
}
