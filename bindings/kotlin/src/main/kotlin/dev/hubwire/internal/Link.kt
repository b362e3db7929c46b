package dev.hubwire.internal

import dev.hubwire.HubConnectionOptions
import dev.hubwire.HubEvent
import dev.hubwire.HubException
import dev.hubwire.internal.ffi.Connection
import dev.hubwire.internal.ffi.ConnectionState
import dev.hubwire.internal.ffi.HubFailure
import dev.hubwire.internal.ffi.InternalException
import dev.hubwire.internal.ffi.Notice
import java.util.concurrent.atomic.AtomicLong
import kotlin.coroutines.ContinuationInterceptor
import kotlin.coroutines.EmptyCoroutineContext
import kotlinx.coroutines.CancellableContinuation
import kotlinx.coroutines.CoroutineDispatcher
import kotlinx.coroutines.CoroutineExceptionHandler
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.cancel

/**
 * One connection, between the border and the public API. Turns notices into what waits for them, each on a thread that
 * may run code of the application, which the reader's may not.
 */
internal class Link(url: String, val options: HubConnectionOptions) {
    val codec = Codec(options.json, options.protocol)
    val lifecycle = Lifecycle(this)
    val calls = Calls(this)
    val handlers = Handlers(this)
    val restored = Restored(this)
    private val questions = Questions(this)
    private val mailbox = Mailbox(this, handlers)

    /** Handlers, uploads, policies and factories. What fails there has nobody else to tell. */
    val scope = CoroutineScope(
        SupervisorJob() + options.dispatcher + CoroutineExceptionHandler { _, error ->
            tell { it.emit(HubEvent.HandlerFailed("", error)) }
        },
    )

    /** States and events, one at a time and in order: whoever follows them may do so in place. */
    private val teller = Dispatchers.IO.limitedParallelism(1)
    private val place = Anchor(this)
    private val owed = AtomicLong()

    /** As the notices say. */
    @Volatile
    private var isIdle = true

    @Volatile
    var isClosed = false
        private set

    @Volatile
    private var hasEnded = false

    private val connection: Connection = try {
        Engine.open(place, options.toWire(url))
    } catch (error: HubFailure) {
        throw error.toException()
    }

    /** A command. Throws what the library throws. */
    inline fun <T> native(command: Connection.() -> T): T {
        if (isClosed) {
            throw closed()
        }
        try {
            return connection.command()
        } catch (error: HubFailure) {
            throw error.toException()
        } catch (error: InternalException) {
            throw HubException.Protocol("The library failed: ${error.message}", error)
        } catch (error: IllegalStateException) {
            // Closed in the meantime.
            if (isClosed) throw closed() else throw error
        }
    }

    /** A command that nobody would hear the failure of. */
    inline fun quietly(command: Connection.() -> Unit) {
        try {
            native(command)
        } catch (_: HubException) {
            // Closed, or too much is queued: the core ends what this was about.
        }
    }

    fun closed(): HubException = HubException.Misuse("The connection was closed.")

    /** Lets go of messages and items; seldom enough that it costs nothing. */
    fun release(cost: Long) {
        if (owed.addAndGet(cost) >= ENOUGH) {
            val all = owed.getAndSet(0)
            quietly { release(all.toULong()) }
        }
    }

    /** Goes on with a coroutine where it belongs; on this thread, which is the reader's, only if the options say so. */
    fun <T> resume(continuation: CancellableContinuation<T>, result: Result<T>) {
        val context = continuation.context
        val dispatcher = context[ContinuationInterceptor] as? CoroutineDispatcher
        val stays = dispatcher == null || !dispatcher.isDispatchNeeded(context)
        if (stays && options.dispatcher.isDispatchNeeded(context)) {
            options.dispatcher.dispatch(EmptyCoroutineContext) { continuation.resumeWith(result) }
        } else {
            continuation.resumeWith(result)
        }
    }

    /** Runs something behind all that was told before. */
    fun tell(action: (Lifecycle) -> Unit) {
        teller.dispatch(EmptyCoroutineContext) {
            try {
                action(lifecycle)
            } catch (_: Throwable) {
                // Of somebody who follows in place; the others go on.
            }
        }
    }

    /** Keeps the link alive while something is going on, and no longer. */
    fun anchor() {
        if (isIdle) {
            synchronized(place) {
                val isBusy = !isIdle || isClosed && !hasEnded || lifecycle.isWaiting || calls.size > 0
                place.held = if (isBusy) this else null
            }
        }
    }

    /** A stop was asked for: no handler starts for what came before. */
    fun dropMessages() = mailbox.clear()

    /** What happened. On the reader's thread. */
    fun receive(notices: List<Notice>) {
        for (notice in notices) {
            try {
                receive(notice)
            } catch (error: Throwable) {
                tell { it.emit(HubEvent.HandlerFailed("", error)) }
            }
        }
        mailbox.flush()
        anchor()
    }

    private fun receive(notice: Notice) {
        when (notice) {
            is Notice.Invocation -> mailbox.add(notice)
            is Notice.Item ->
                if (calls.item(notice.call.toLong(), notice.value, notice.cost.toLong())) {
                    release(notice.cost.toLong())
                }
            is Notice.Completed -> calls.completed(notice.call.toLong(), notice.value)
            is Notice.Failed -> calls.failed(notice.call.toLong(), notice.fault.toException())
            is Notice.Queued -> calls.queued(notice.call.toLong())
            is Notice.UploadStarted -> calls.uploadStarted(notice.upload.toLong())
            is Notice.UploadStopped -> calls.uploadStopped(notice.upload.toLong())
            is Notice.Room -> calls.room()
            is Notice.State -> {
                isIdle = notice.change.new == ConnectionState.DISCONNECTED
                if (!isIdle) {
                    place.held = this
                }
                val change = notice.change.toPublic()
                tell { it.follow(change) }
            }
            is Notice.Started -> lifecycle.started(notice.ticket.toLong(), notice.fault?.toException())
            is Notice.Stopped -> lifecycle.stopped(notice.ticket.toLong())
            is Notice.Event -> {
                val event = notice.event.toPublic()
                tell { it.emit(event) }
            }
            is Notice.Unreadable -> {
                val error = HubException.Protocol(notice.reason)
                tell { it.emit(HubEvent.HandlerFailed(notice.target, error)) }
            }
            is Notice.Retry -> questions.retry(notice)
            is Notice.Token -> questions.token(notice.question)
            is Notice.Restored -> restored.read(notice.calls)
            // Handlers are not interrupted; the core drops answers that come too late.
            is Notice.InvocationCancelled -> Unit
            is Notice.Ended -> ended()
        }
    }

    /** Lets go of the connection; everything that is under way ends. */
    fun close() {
        synchronized(place) {
            if (isClosed) {
                return
            }
            isClosed = true
        }
        // Until it has ended.
        anchor()
        mailbox.clear()
        connection.destroy()
        scope.cancel()
    }

    private fun ended() {
        val error = { HubException.Cancelled("The connection was closed.") }
        isIdle = true
        calls.end(error)
        restored.end(error())
        lifecycle.end(error)
        isClosed = true
        hasEnded = true
        scope.cancel()
    }

    private companion object {
        /** The connection stops reading at 8 MiB. */
        const val ENOUGH = 64L * 1_024
    }
}
