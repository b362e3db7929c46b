package dev.hubwire.internal

import dev.hubwire.ConnectionState
import dev.hubwire.HubEvent
import dev.hubwire.HubException
import dev.hubwire.OutboxProgress
import dev.hubwire.Quality
import dev.hubwire.Grade
import dev.hubwire.StateCause
import dev.hubwire.StateChange
import java.util.concurrent.atomic.AtomicInteger
import kotlin.time.Duration
import kotlinx.coroutines.CancellableContinuation
import kotlinx.coroutines.Job
import kotlinx.coroutines.channels.BufferOverflow
import kotlinx.coroutines.flow.MutableSharedFlow
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.suspendCancellableCoroutine

/** The state of a connection, who starts and stops it, and what is told of it. */
internal class Lifecycle(private val link: Link) {
    val state = MutableStateFlow(ConnectionState.Disconnected)
    val changes = MutableSharedFlow<StateChange>(0, BUFFER, BufferOverflow.DROP_OLDEST)
    val events = MutableSharedFlow<HubEvent>(0, BUFFER, BufferOverflow.DROP_OLDEST)

    @Volatile
    var connectionId: String? = null
        private set

    @Volatile
    var outbox = OutboxProgress(0, 0, null)
        private set

    @Volatile
    var quality = Quality(Grade.Lost, null, Duration.ZERO)
        private set

    private val lock = Any()
    private val starts = HashMap<Long, CancellableContinuation<Unit>>()
    private val stops = HashMap<Long, CancellableContinuation<Unit>>()
    private val stopping = AtomicInteger()

    /** The question that is open, and the change that goes with its answer. One at a time: see [Link.tell]. */
    private var asked: ULong? = null
    private var askedFor: StateChange? = null

    /** Completed when nothing more happens. */
    val ended = Job()

    /** A stop was asked for and is not done. */
    val isStopping: Boolean get() = stopping.get() > 0

    /** A start or stop is not done. */
    val isWaiting: Boolean get() = synchronized(lock) { starts.isNotEmpty() || stops.isNotEmpty() }

    /** Connects. Cancelling this stops the attempt. */
    suspend fun start(): Unit = suspendCancellableCoroutine { continuation ->
        if (!continuation.isActive) {
            return@suspendCancellableCoroutine
        }
        try {
            val ticket = synchronized(lock) {
                link.native { start() }.toLong().also { starts[it] = continuation }
            }
            link.anchor()
            continuation.invokeOnCancellation {
                val isPending = synchronized(lock) { starts.remove(ticket) != null }
                if (isPending) {
                    stopQuietly()
                }
            }
        } catch (error: HubException) {
            continuation.resumeWith(Result.failure(error))
        }
    }

    /** Disconnects. Goes on if nobody waits for it any more. */
    suspend fun stop(): Unit = suspendCancellableCoroutine { continuation ->
        try {
            askToStop(continuation)
        } catch (error: HubException) {
            continuation.resumeWith(Result.failure(error))
        }
    }

    private fun stopQuietly() {
        try {
            askToStop(null)
        } catch (_: HubException) {
            // Closed: it has stopped.
        }
    }

    private fun askToStop(continuation: CancellableContinuation<Unit>?) {
        stopping.incrementAndGet()
        try {
            synchronized(lock) {
                // In this order for whoever follows.
                link.tell { it.disconnecting() }
                val ticket = link.native { stop() }.toLong()
                if (continuation != null) {
                    stops[ticket] = continuation
                }
            }
        } catch (error: HubException) {
            stopping.decrementAndGet()
            throw error
        }
        link.dropMessages()
        link.anchor()
    }

    /** On the reader's thread, as the next one. */
    fun started(ticket: Long, error: HubException?) {
        // Behind the change of the state.
        link.tell {
            val continuation = synchronized(lock) { starts.remove(ticket) }
            if (continuation != null) {
                link.resume(continuation, if (error == null) DONE else Result.failure(error))
            }
            link.anchor()
        }
    }

    fun stopped(ticket: Long) {
        stopping.decrementAndGet()
        link.tell {
            settle()
            if (state.value == ConnectionState.Disconnecting) {
                change(ConnectionState.Disconnected, StateCause.Requested)
            }
            synchronized(lock) { stops.remove(ticket) }?.let { link.resume(it, DONE) }
            link.anchor()
        }
    }

    /** Nothing more happens. */
    fun end(error: () -> HubException) {
        link.tell {
            forget()
            change(ConnectionState.Disconnected, StateCause.Requested)
            val (started, stopped) = synchronized(lock) {
                val all = starts.values.toList() to stops.values.toList()
                starts.clear()
                stops.clear()
                all
            }
            started.forEach { link.resume(it, Result.failure(error())) }
            stopped.forEach { link.resume(it, DONE) }
            ended.complete()
            link.anchor()
        }
    }

    // What follows runs one at a time: see Link.tell.

    /** As the core says. */
    fun follow(change: StateChange) {
        settle()
        // A stop that was asked for is all that counts until it is done.
        if (state.value != ConnectionState.Disconnecting || change.to == ConnectionState.Disconnected) {
            change(change.to, change.cause)
        }
    }

    /** Somebody is asked when to try again. If there is to be another attempt, that is a [change] of the state. */
    fun ask(request: ULong, change: StateChange?) {
        asked = request
        askedFor = change
    }

    /** The answer. One that comes when the core has gone on without it changes nothing. */
    fun answered(request: ULong, goesOn: Boolean) {
        if (asked == request) {
            if (goesOn) settle() else forget()
        }
    }

    fun emit(event: HubEvent) {
        when (event) {
            is HubEvent.OutboxChanged -> outbox = event.outbox
            is HubEvent.QualityChanged -> quality = event.quality
            is HubEvent.RetryScheduled -> settle()
            else -> Unit
        }
        events.tryEmit(event)
    }

    /** The core goes on: what depended on an answer has happened, if it is still due. */
    private fun settle() {
        val due = askedFor
        forget()
        if (due != null && state.value == due.from) {
            change(due.to, due.cause)
        }
    }

    private fun forget() {
        asked = null
        askedFor = null
    }

    private fun disconnecting() {
        if (state.value != ConnectionState.Disconnected) {
            change(ConnectionState.Disconnecting, StateCause.Requested)
        }
    }

    private fun change(to: ConnectionState, cause: StateCause) {
        val from = state.value
        if (from == to) {
            return
        }
        if (to == ConnectionState.Connected) {
            connectionId = (cause as? StateCause.Established)?.connectionId
        } else if (to != ConnectionState.Disconnecting) {
            connectionId = null
        }
        state.value = to
        changes.tryEmit(StateChange(from, to, cause))
    }

    private companion object {
        /** More than that is not kept for who follows slowly. */
        const val BUFFER = 1_024
        val DONE = Result.success(Unit)
    }
}
