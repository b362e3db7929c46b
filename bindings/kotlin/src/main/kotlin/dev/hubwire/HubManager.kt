package dev.hubwire

import dev.hubwire.hubs.HubDefinition
import dev.hubwire.hubs.hub
import java.util.concurrent.ConcurrentLinkedQueue
import kotlin.time.Duration
import kotlin.time.Duration.Companion.minutes
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.Deferred
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.Job
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitAll
import kotlinx.coroutines.cancel
import kotlinx.coroutines.channels.BufferOverflow
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.MutableSharedFlow
import kotlinx.coroutines.flow.SharedFlow
import kotlinx.coroutines.flow.asSharedFlow
import kotlinx.coroutines.launch
import kotlinx.coroutines.selects.select
import kotlinx.coroutines.withTimeoutOrNull

/** Options of a [HubManager]. */
@HubwireDsl
public class HubManagerOptions internal constructor() {
    /** How many hubs may have a connection, or be about to have one. */
    public var maxConnections: Int = 100

    /** How long a hub is idle before its connection is closed; null for never. */
    public var idleAfter: Duration? = 5.minutes

    /** How long [HubManager.connect] waits for a connection. */
    public var connectTimeout: Duration = 30.seconds

    internal var configure: HubConnectionOptions.(path: String) -> Unit = {}

    /** What the connections have in common; with the path of the hub for what they have not. */
    public fun connections(configure: HubConnectionOptions.(path: String) -> Unit) {
        this.configure = configure
    }
}

/** What became of one hub of [HubManager.connectAll]: one of the two is there. */
public class HubResult internal constructor(
    public val path: String,
    public val connection: HubConnection?,
    public val error: HubException?,
)

/** A change of the state of a hub of a manager. */
public class HubStateChange internal constructor(public val path: String, public val change: StateChange)

/**
 * The hubs of one server, each with one connection that all of the application shares.
 *
 * A hub is idle when nobody would miss it: everybody who got it from [hub] or [connect] has given it back with
 * [release], no handler is registered, no call is under way and its outbox is empty. After five minutes of that,
 * noticed within five more, its connection is closed; its next use starts it again.
 *
 * At most 100 hubs have a connection. One more takes the place of the one that is idle for longest; when none is, it is
 * refused with [HubException.Overflow]. A connection that the application starts on its own is counted but not refused.
 */
public class HubManager(baseUrl: String, configure: HubManagerOptions.() -> Unit = {}) : AutoCloseable {
    private val options = HubManagerOptions().apply(configure)
    private val baseUrl = baseUrl.trimEnd('/')
    private val scope = CoroutineScope(SupervisorJob() + Dispatchers.Default)

    /** Stops end by themselves, and somebody may wait for them: they outlast the manager. */
    private val stops = CoroutineScope(SupervisorJob() + Dispatchers.Default)
    private val changes = MutableSharedFlow<HubStateChange>(0, 1_024, BufferOverflow.DROP_OLDEST)

    /** Guards everything below; nothing is waited for under it. */
    private val lock = Any()
    private val hubs = LinkedHashMap<String, Hub>()
    private var turn = 0L
    private var isClosed = false

    init {
        require("maxConnections", options.maxConnections >= 1, options.maxConnections)
        require("idleAfter", options.idleAfter?.isPositive() != false, options.idleAfter)
        require("connectTimeout", options.connectTimeout.isPositive(), options.connectTimeout)
    }

    private class Hub(val path: String, val connection: HubConnection) {
        val waiters = mutableSetOf<CompletableDeferred<Unit>>()
        var uses = 0

        /** It has a place among the connections that there may be. */
        var isActive = false

        /** It was closed for want of use: the next use starts it again. */
        var resumes = false

        /** A start of the manager is under way; which one of them. */
        var starting = 0L
        var stopping: Deferred<Unit>? = null

        /** What is smaller is idle for longer. */
        var idleSince = 0L
        var timer: Job? = null

        val isIdle: Boolean
            get() = uses == 0 && waiters.isEmpty() && !connection.isListening && connection.pendingCalls == 0 &&
                connection.outbox.depth == 0L
    }

    /** Every change of the state of any hub, those to come included. */
    public val stateChanges: SharedFlow<HubStateChange> = changes.asSharedFlow()

    /** Every hub that was used so far, by its path, with the state of its connection. */
    public val states: Map<String, ConnectionState>
        get() = synchronized(lock) { hubs.mapValues { it.value.connection.state.value } }

    /** As the other, for a hub of which nothing is to be known. */
    public fun hub(path: String): HubConnection = hub(HubDefinition(path))

    /**
     * The connection of that hub: always the same for the same path. The first time it is made, but not connected:
     * register handlers, then [connect]. One that was closed for being idle is started again, in the background. Give
     * it back with [release], as often as you took it.
     *
     * Throws [HubException.Overflow] when it was closed for being idle, and there is no place for it now.
     */
    public fun hub(hub: HubDefinition): HubConnection = synchronized(lock) {
        val entry = entry(hub)
        if (entry.resumes) {
            claim(entry)
        }
        entry.uses++
        entry.connection
    }

    /** Says that one who got the hub does not hold it any more. */
    public fun release(path: String): Unit = synchronized(lock) {
        val entry = hubs[normal(path)]
        if (entry != null && entry.uses > 0) {
            entry.uses--
            rest(entry)
        }
    }

    /** As the other. */
    public fun release(hub: HubDefinition): Unit = release(hub.path)

    /** As the other, for a hub of which nothing is to be known. */
    public suspend fun connect(path: String): HubConnection = connect(HubDefinition(path))

    /**
     * Connects a hub and waits until that is done, at once if it is. Throws
     *
     * - `Timeout` when it takes longer than 30 s; it is not given up for that;
     * - `Overflow` when there are as many connections as there may be, and none is idle;
     * - `Cancelled` when the hub is disconnected meanwhile, or the manager closed;
     * - `Misuse` when that was closed before;
     * - the error of `start` when that fails.
     */
    public suspend fun connect(hub: HubDefinition): HubConnection {
        val entry = synchronized(lock) { entry(hub).also { it.uses++ } }
        try {
            await(entry)
            return entry.connection
        } catch (error: Throwable) {
            release(hub)
            throw error
        }
    }

    /** Connects hubs, all at the same time. One that fails changes nothing for the others. */
    public suspend fun connectAll(hubs: Collection<HubDefinition>): List<HubResult> {
        val taken = ConcurrentLinkedQueue<HubDefinition>()
        return try {
            coroutineScope {
                hubs.map { hub ->
                    async {
                        try {
                            HubResult(normal(hub.path), connect(hub).also { taken += hub }, null)
                        } catch (error: HubException) {
                            HubResult(normal(hub.path), null, error)
                        }
                    }
                }.awaitAll()
            }
        } catch (error: Throwable) {
            // Cancelled: nobody got those that were faster.
            taken.forEach(::release)
            throw error
        }
    }

    /** Disconnects a hub, used or not. Its connection and its handlers stay, for the next [connect]. */
    public suspend fun disconnect(path: String) {
        val stopping = synchronized(lock) {
            val entry = hubs[normal(path)]
            if (entry == null || isClosed) {
                return
            }
            entry.resumes = false
            answer(entry, HubException.Cancelled("${entry.path}: The hub was disconnected."))
            stop(entry)
        }
        stopping.await()
    }

    /** As [disconnect], all hubs at the same time. */
    public suspend fun disconnectAll(): Unit = coroutineScope {
        synchronized(lock) { hubs.keys.toList() }.forEach { launch { disconnect(it) } }
    }

    /** Closes all connections for good. Hubs that are asked for later are refused with [HubException.Misuse]. */
    override fun close() {
        scope.cancel()
        synchronized(lock) {
            isClosed = true
            hubs.values.forEach { entry ->
                answer(entry, HubException.Cancelled("${entry.path}: The manager was closed."))
                entry.connection.close()
            }
        }
    }

    private fun entry(hub: HubDefinition): Hub {
        requireOpen()
        return hubs.getOrPut(normal(hub.path)) {
            val path = normal(hub.path)
            val connection = HubConnection(baseUrl + path) {
                options.configure(this, path)
                hub(hub)
            }
            val entry = Hub(path, connection)
            // Follows from now on.
            scope.launch(start = CoroutineStart.UNDISPATCHED) {
                connection.stateChanges.collect { change ->
                    synchronized(lock) { changed(entry, change) }
                    changes.tryEmit(HubStateChange(path, change))
                }
            }
            entry
        }
    }

    private fun requireOpen() {
        if (isClosed) {
            throw HubException.Misuse("The manager was closed.")
        }
    }

    private suspend fun await(entry: Hub) {
        val waiter = CompletableDeferred<Unit>()
        synchronized(lock) {
            requireOpen()
            if (entry.isActive && entry.stopping == null &&
                entry.connection.state.value == ConnectionState.Connected
            ) {
                return
            }
            entry.waiters += waiter
            try {
                claim(entry)
            } catch (error: HubException) {
                entry.waiters -= waiter
                throw error
            }
        }
        try {
            withTimeoutOrNull(options.connectTimeout) { waiter.await() } ?: throw HubException.Timeout(
                "${entry.path}: There was no connection within ${options.connectTimeout}; it is still being made.",
            )
        } finally {
            synchronized(lock) { entry.waiters -= waiter }
        }
    }

    /** Gives the hub a place and starts it, or throws why there is none. */
    private fun claim(entry: Hub) {
        if (entry.isActive) {
            return
        }
        val active = hubs.values.filter { it.isActive }
        val missing = active.size + 1 - options.maxConnections
        val idle = active.filter { it.isIdle }.sortedBy { it.idleSince }
        if (idle.size < missing) {
            throw HubException.Overflow(
                "${entry.path}: There are as many connections as maxConnections allows, ${options.maxConnections}, " +
                    "and none of them is idle.",
            )
        }
        idle.take(maxOf(missing, 0)).forEach(::retire)
        activate(entry)
        entry.starting = ++turn
        scope.launch { start(entry, entry.starting) }
    }

    private suspend fun start(entry: Hub, start: Long) {
        try {
            // Those that stop have their places until then.
            while (true) {
                val stopping = synchronized(lock) { if (entry.starting == start) mustStop(entry) else return }
                if (stopping.isEmpty()) break
                select { stopping.forEach { it.onAwait { } } }
            }
            // Somebody else may have been faster.
            if (entry.connection.state.value == ConnectionState.Disconnected) {
                entry.connection.start()
            }
            synchronized(lock) {
                if (entry.starting == start) {
                    entry.starting = 0
                    if (entry.connection.state.value == ConnectionState.Connected) {
                        answer(entry, null)
                    }
                }
            }
        } catch (error: HubException) {
            synchronized(lock) {
                if (entry.starting == start) {
                    entry.starting = 0
                    settle(entry, error)
                }
            }
        }
    }

    /** What has to end before the hub can start. */
    private fun mustStop(entry: Hub): List<Deferred<Unit>> {
        entry.stopping?.let { return listOf(it) }
        val open = hubs.values.filter {
            it.stopping != null || it.connection.state.value != ConnectionState.Disconnected
        }
        return if (open.size < options.maxConnections) emptyList() else open.mapNotNull { it.stopping }
    }

    private fun changed(entry: Hub, change: StateChange) {
        val isLate = entry.stopping != null || change.to != entry.connection.state.value
        if (isLate && change.to != ConnectionState.Disconnected) {
            // From before a stop, or another change follows.
            return
        }
        when (change.to) {
            ConnectionState.Connected -> {
                entry.starting = 0
                activate(entry)
                answer(entry, null)
            }
            // The application may have started it: it counts from now on.
            ConnectionState.Connecting, ConnectionState.Reconnecting -> activate(entry)
            ConnectionState.Disconnected -> if (entry.starting == 0L) {
                val cause = change.cause as? StateCause.Failed
                settle(entry, cause?.error ?: HubException.Network("The connection has ended."))
            }
            ConnectionState.Disconnecting -> Unit
        }
    }

    private fun activate(entry: Hub) {
        if (!entry.isActive) {
            entry.isActive = true
            entry.resumes = false
            rest(entry)
        }
    }

    /** The hub has no connection any more, and none is being made. */
    private fun settle(entry: Hub, error: HubException) {
        if (entry.connection.state.value == ConnectionState.Disconnected) {
            deactivate(entry)
            answer(entry, HubException.of(error.kind, "${entry.path}: ${error.message}"))
        }
    }

    private fun deactivate(entry: Hub) {
        entry.isActive = false
        entry.timer?.cancel()
    }

    private fun answer(entry: Hub, error: HubException?) {
        entry.waiters.toList().forEach {
            if (error == null) it.complete(Unit) else it.completeExceptionally(error)
        }
    }

    /** It may be idle from now on. */
    private fun rest(entry: Hub) {
        entry.timer?.cancel()
        entry.idleSince = ++turn
        val idleAfter = options.idleAfter
        if (idleAfter != null && entry.isActive) {
            entry.timer = scope.launch {
                delay(idleAfter)
                synchronized(lock) { if (entry.isIdle) retire(entry) else rest(entry) }
            }
        }
    }

    private fun retire(entry: Hub) {
        entry.resumes = true
        stop(entry)
    }

    private fun stop(entry: Hub): Deferred<Unit> {
        deactivate(entry)
        entry.starting = 0
        return entry.stopping ?: stops.async(start = CoroutineStart.LAZY) {
            try {
                entry.connection.stop()
            } catch (_: HubException) {
                // Closed: it has stopped.
            } finally {
                synchronized(lock) { entry.stopping = null }
            }
        }.also {
            entry.stopping = it
            it.start()
        }
    }

    private companion object {
        fun normal(path: String): String = "/" + path.trimStart('/')

        fun require(name: String, holds: Boolean, value: Any?) {
            if (!holds) {
                throw HubException.Misuse("The option '$name' is not possible: $value.")
            }
        }
    }
}
