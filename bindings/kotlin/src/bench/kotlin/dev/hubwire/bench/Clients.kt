package dev.hubwire.bench

import com.microsoft.signalr.HubConnectionBuilder
import com.microsoft.signalr.TransportEnum
import dev.hubwire.HubConnection
import dev.hubwire.Transport
import dev.hubwire.invoke
import dev.hubwire.on
import dev.hubwire.send
import java.util.concurrent.CountDownLatch
import java.util.concurrent.Semaphore
import java.util.concurrent.atomic.AtomicInteger
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.CoroutineDispatcher
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withContext
import kotlinx.serialization.Serializable

/** What is sent; both libraries make an object of it. */
@Serializable
internal data class Item(val id: Int, val name: String, val values: List<Double>, val texts: List<String>)

/** A client under measurement. */
internal interface Client : AutoCloseable {
    val name: String

    /** Receives so many events, and returns when the last one was handled. */
    fun receive(count: Int, bytes: Int, perSecond: Int)

    /** Calls so often, with so many at a time. */
    fun invoke(count: Int, atOnce: Int, item: Item)
}

/** This library. */
internal class Ours(url: String, override val name: String, where: CoroutineDispatcher) : Client {
    private val connection = HubConnection(url) {
        dispatcher = where
        transports = setOf(Transport.WebSockets)
        skipNegotiation = true
    }

    @Volatile
    private var expected = 0

    @Volatile
    private var done = CompletableDeferred<Unit>()
    private var received = 0

    init {
        connection.on("event") { item: Item ->
            check(item.id == received)
            if (++received == expected) done.complete(Unit)
        }
        runBlocking { connection.start() }
    }

    override fun receive(count: Int, bytes: Int, perSecond: Int) = runBlocking {
        received = 0
        expected = count
        done = CompletableDeferred()
        connection.send("Push", count, bytes, perSecond)
        done.await()
    }

    override fun invoke(count: Int, atOnce: Int, item: Item) = runBlocking {
        if (atOnce == 1) {
            repeat(count) { check(connection.invoke<Item, _>("Echo", item).id == item.id) }
        } else {
            withContext(Dispatchers.Default) {
                repeat(atOnce) {
                    launch { repeat(count / atOnce) { check(connection.invoke<Item, _>("Echo", item).id == item.id) } }
                }
            }
        }
    }

    override fun close() {
        runBlocking { connection.stop() }
        connection.close()
    }
}

/** The official client for Java. */
internal class Theirs(url: String) : Client {
    override val name = "official"
    private val connection = HubConnectionBuilder.create(url)
        .withTransport(TransportEnum.WEBSOCKETS)
        .shouldSkipNegotiate(true)
        .build()

    @Volatile
    private var expected = 0

    @Volatile
    private var done = CountDownLatch(1)
    private var received = 0

    init {
        connection.on(
            "event",
            { item: Item ->
                check(item.id == received)
                if (++received == expected) done.countDown()
            },
            Item::class.java,
        )
        connection.start().blockingAwait()
    }

    override fun receive(count: Int, bytes: Int, perSecond: Int) {
        received = 0
        expected = count
        done = CountDownLatch(1)
        connection.send("Push", count, bytes, perSecond)
        done.await()
    }

    override fun invoke(count: Int, atOnce: Int, item: Item) {
        if (atOnce == 1) {
            repeat(count) { check(connection.invoke(Item::class.java, "Echo", item).blockingGet().id == item.id) }
            return
        }
        val room = Semaphore(atOnce)
        val failures = AtomicInteger()
        repeat(count) {
            room.acquire()
            connection.invoke(Item::class.java, "Echo", item).subscribe(
                { room.release() },
                {
                    failures.incrementAndGet()
                    room.release()
                },
            )
        }
        room.acquire(atOnce)
        check(failures.get() == 0)
    }

    override fun close() {
        connection.stop().blockingAwait()
    }
}
