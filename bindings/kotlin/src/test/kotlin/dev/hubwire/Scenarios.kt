package dev.hubwire

import java.io.File
import kotlin.reflect.KClass
import kotlin.time.Duration
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.withTimeoutOrNull
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive

/** What one test does. */
internal class Scenario(val id: String, val run: suspend Scene.() -> Unit)

/** Tests by the ids of `tests/scenarios/scenarios.json`; those of this suite alone begin with `own.`. */
internal class Scenarios {
    val list = mutableListOf<Scenario>()

    fun scenario(id: String, run: suspend Scene.() -> Unit) {
        list += Scenario(id, run)
    }

    companion object {
        /** The ids that there have to be. */
        fun expected(): List<String> {
            val file = File(System.getProperty("hubwire.tests"), "scenarios/scenarios.json")
            val list = Json.parseToJsonElement(file.readText()).jsonObject.getValue("scenarios").jsonArray
            return list.map { it.jsonObject.getValue("id").jsonPrimitive.content }
        }
    }
}

/** The programs that all tests share. */
internal class Stage {
    val server by lazy { Server().also { ends += it::end } }
    val proxy by lazy { Proxy(server.host).also { ends += it::end } }
    private val ends = mutableListOf<() -> Unit>()

    fun end() = ends.asReversed().forEach { it() }
}

/** One test. */
internal class Scene(private val stage: Stage, scope: CoroutineScope) : CoroutineScope by scope {
    private val deferred = mutableListOf<suspend () -> Unit>()
    val server: Server get() = stage.server
    val proxy: Proxy get() = stage.proxy

    /** Runs that at the end of the test. */
    fun defer(action: suspend () -> Unit) {
        deferred += action
    }

    suspend fun end() = deferred.asReversed().forEach { it() }

    /** A connection to the server, which ends with the test. */
    fun connection(url: String = server.url, configure: HubConnectionOptions.() -> Unit = {}): HubConnection {
        val connection = HubConnection(url, configure)
        defer { connection.close() }
        return connection
    }

    /** The same, connected. */
    suspend fun connected(
        url: String = server.url,
        configure: HubConnectionOptions.() -> Unit = {},
    ): HubConnection = connection(url, configure).also { within("the start") { it.start() } }

    /** One through the proxy that comes back at once. */
    fun proxied(
        schedule: RetrySchedule? = QUICK,
        configure: HubConnectionOptions.() -> Unit = {},
    ): HubConnection = connection(proxy.url) {
        retry = schedule
        retryFirstStart = true
        configure()
    }

    companion object {
        val QUICK: RetrySchedule = RetrySchedule.table(List(100) { 50.milliseconds })

        /** The next attempt by itself would come after a minute. */
        val SLOW: RetrySchedule = RetrySchedule.table(listOf(60.seconds, 60.seconds))
    }
}

/** Fails when that takes longer. */
internal suspend fun <T> within(what: String, time: Duration = 20.seconds, action: suspend () -> T): T {
    var result: Result<T>? = null
    withTimeoutOrNull(time) { result = Result.success(action()) }
    return (result ?: error("$what did not come within $time")).getOrThrow()
}

/** For what nobody tells: looks again and again. */
internal suspend fun eventually(what: String, look: suspend () -> Boolean) = within(what) {
    while (!look()) {
        delay(5.milliseconds)
    }
}

internal suspend fun HubConnection.awaitState(wanted: ConnectionState) =
    within("the state $wanted") { state.first { it == wanted } }

/** What happened, one after the other. */
internal class Events<T> {
    private val channel = Channel<T>(Channel.UNLIMITED)

    fun push(value: T) {
        channel.trySend(value)
    }

    suspend fun next(what: String = "an event"): T = within(what) { channel.receive() }

    suspend fun take(count: Int): List<T> = List(count) { next("event $it of $count") }

    val isEmpty: Boolean get() = channel.isEmpty
}

internal fun same(expected: Any?, actual: Any?, what: String = "the value") {
    check(expected == actual) { "$what is $actual, not $expected" }
}

internal fun holds(condition: Boolean, what: () -> String) = check(condition, what)

/** Fails unless [action] fails like that; with the error. */
internal suspend fun <E : Throwable> fails(type: KClass<E>, part: String = "", action: suspend () -> Any?): E {
    val error = try {
        "it gave ${within("the failure") { action() }}".let { error(it) }
    } catch (error: Throwable) {
        error
    }
    check(type.isInstance(error)) { "failed with $error, not ${type.simpleName}" }
    check(part in error.message.orEmpty()) { "'${error.message}' does not contain '$part'" }
    @Suppress("UNCHECKED_CAST")
    return error as E
}
