package dev.hubwire.android

import android.app.ActivityManager.RunningAppProcessInfo.IMPORTANCE_FOREGROUND
import dev.hubwire.ConnectionState
import dev.hubwire.HubConnection
import dev.hubwire.HubEvent
import dev.hubwire.RetrySchedule
import dev.hubwire.attach
import java.io.File
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.seconds
import kotlin.time.TimeSource
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.async
import kotlinx.coroutines.flow.filterIsInstance
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

/** The native library with a real server; only what Android says is made up. */
class ConnectionTest {
    private val stage = Stage()

    @Test
    fun `waits without a network, and connects at once with another`() = runBlocking {
        stage.importance(IMPORTANCE_FOREGROUND)
        val server = Server()
        val connection = HubConnection("${server.url}/hubs/interop") {
            retry = RetrySchedule.table(List(1_000) { 10.milliseconds })
        }
        try {
            val attached = connection.attach(AndroidHints(stage.context))
            val mobile = Stage.network(1)
            stage.available(mobile)
            withTimeout(20.seconds) { connection.start() }
            val scheduled = async(start = CoroutineStart.UNDISPATCHED) {
                connection.events.filterIsInstance<HubEvent.RetryScheduled>().first()
            }
            stage.lost(mobile)
            server.kill()
            val delay = withTimeout(20.seconds) { scheduled.await() }.delay
            // The schedule says 10 ms.
            assertTrue(delay >= 30.seconds, "the next attempt is after $delay")
            server.restart()
            val before = TimeSource.Monotonic.markNow()
            stage.available(Stage.network(2))
            withTimeout(20.seconds) { connection.state.first { it == ConnectionState.Connected } }
            assertTrue(before.elapsedNow() < 5.seconds, "it took ${before.elapsedNow()}")
            attached.detach()
        } finally {
            connection.close()
            server.kill()
        }
    }
}

/** The interop server of the repository; started again it listens where it did before. */
private class Server {
    private var process = begin()
    val url = process.inputReader().readLine().removePrefix("listening on ")

    private fun begin(vararg arguments: String): Process =
        ProcessBuilder(File(System.getProperty("hubwire.programs"), "interop-server").path, *arguments)
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start()

    fun kill() {
        process.destroyForcibly().waitFor()
    }

    fun restart() {
        process = begin("--listen", url.removePrefix("http://"))
        process.inputReader().readLine()
    }
}
