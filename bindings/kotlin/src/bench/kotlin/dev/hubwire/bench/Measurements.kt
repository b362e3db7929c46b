package dev.hubwire.bench

import com.sun.management.OperatingSystemMXBean
import dev.hubwire.java
import java.lang.management.ManagementFactory
import kotlinx.coroutines.Dispatchers
import org.junit.jupiter.api.Test

/**
 * What a message and a call cost in CPU time, all threads of the process together, with this library and with the
 * official client, in turns and in one run; also with handlers on the thread that reads. `mvn -Pbench verify` runs it.
 */
class Measurements {
    private class Work(val name: String, val count: Int, val run: (Client, Int) -> Unit)

    @Test
    fun measure() {
        val only = System.getProperty("bench").orEmpty()
        val server = java(PushServer::class.java.name)
        try {
            val url = server.inputReader().readLine().removePrefix("listening on ")
            val works = works().filter { only in it.name }
            Theirs(url).use { theirs ->
                Ours(url, "hubwire", Dispatchers.Default).use { ours ->
                    Ours(url, "in place", Dispatchers.Unconfined).use { inPlace ->
                        table(works, theirs, listOf(ours, inPlace))
                    }
                }
            }
        } finally {
            server.destroy()
        }
    }

    private fun works(): List<Work> {
        val item = Item(7, "item", listOf(1.5, 2.25), listOf("0123456789abcdef"))
        return listOf(
            Work("received, 130 B, as fast as possible", 200_000) { client, count -> client.receive(count, 130, 0) },
            Work("received, 2 KB, as fast as possible", 40_000) { client, count -> client.receive(count, 2_000, 0) },
            Work("received, 130 B, 2,000 per second", 10_000) { client, count -> client.receive(count, 130, 2_000) },
            Work("invoked, one after the other", 10_000) { client, count -> client.invoke(count, 1, item) },
            Work("invoked, 50 at a time", 50_000) { client, count -> client.invoke(count, 50, item) },
        )
    }

    private fun table(works: List<Work>, official: Client, ours: List<Client>) {
        val clients = listOf(official) + ours
        println()
        println("CPU per message or call, in microseconds, medians of $ROUNDS, and what part of the official client's it is:")
        println("%-40s %10s".format("", official.name) + ours.joinToString("") { "%10s %6s".format(it.name, "") })
        for (work in works) {
            // Until the compilers have seen it.
            repeat(WARM_UPS) { clients.forEach { client -> work.run(client, work.count / 2) } }
            val times = clients.map { mutableListOf<Double>() }
            repeat(ROUNDS) {
                clients.forEachIndexed { index, client -> times[index] += cost(work, client) }
            }
            val medians = times.map { it.sorted()[ROUNDS / 2] }
            val rest = medians.drop(1).joinToString("") { "%10.2f %6.2f".format(it, it / medians[0]) }
            println("%-40s %10.2f".format(work.name, medians[0]) + rest)
        }
    }

    /** In microseconds each. */
    private fun cost(work: Work, client: Client): Double {
        System.gc()
        val before = system.processCpuTime
        work.run(client, work.count)
        return (system.processCpuTime - before) / 1_000.0 / work.count
    }

    private companion object {
        const val ROUNDS = 3
        const val WARM_UPS = 3
        val system: OperatingSystemMXBean =
            ManagementFactory.getOperatingSystemMXBean() as OperatingSystemMXBean
    }
}
