package dev.hubwire

import java.io.BufferedReader
import java.io.File
import java.util.Base64
import java.util.concurrent.TimeUnit
import javax.crypto.Mac
import javax.crypto.spec.SecretKeySpec
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.boolean
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive

/** A program of the tests. It ends when its input does, so never later than this process. */
internal class Program(name: String, vararg arguments: String) {
    val process: Process = ProcessBuilder(File(System.getProperty("hubwire.programs"), name).path, *arguments)
        .redirectError(ProcessBuilder.Redirect.INHERIT)
        .start()
    val output: BufferedReader = process.inputReader()
    val url: String

    init {
        val line = output.readLine() ?: "it ended"
        check(line.startsWith("listening on ")) { "$name does not say where it listens: $line" }
        url = line.removePrefix("listening on ")
    }

    /** In order, or at once. */
    fun end(kill: Boolean) {
        if (kill) process.destroyForcibly() else process.outputStream.close()
        if (!process.waitFor(10, TimeUnit.SECONDS)) {
            process.destroyForcibly()
            error("The program does not end.")
        }
    }
}

/** The interop server; started again it listens where it did before. */
internal class Server {
    private var running = Program("interop-server")
    val origin: String = running.url
    val host: String = origin.removePrefix("http://")
    val url: String = "$origin/hubs/interop"

    fun kill() = running.end(kill = true)

    fun restart() {
        if (running.process.isAlive) {
            kill()
        }
        running = Program("interop-server", "--listen", host)
    }

    fun end() {
        if (running.process.isAlive) {
            running.end(kill = false)
        }
    }

    companion object {
        private const val KEY = "interop-tests-only-0123456789abcdef"

        /** A token that the server accepts, for an hour. */
        fun token(user: String, claims: String = ""): String {
            val base64 = Base64.getUrlEncoder().withoutPadding()
            val expires = System.currentTimeMillis() / 1_000 + 3_600
            val parts = listOf("""{"alg":"HS256","typ":"JWT"}""", """{"sub":"$user","exp":$expires$claims}""")
            val signed = parts.joinToString(".") { base64.encodeToString(it.encodeToByteArray()) }
            val mac = Mac.getInstance("HmacSHA256").apply { init(SecretKeySpec(KEY.encodeToByteArray(), "HmacSHA256")) }
            return "$signed.${base64.encodeToString(mac.doFinal(signed.encodeToByteArray()))}"
        }
    }
}

/** The fault proxy in front of a server; `tests/README.md` has its commands. */
internal class Proxy(host: String) {
    private val running = Program("fault-proxy", "--upstream", host)
    val origin: String = running.url
    val url: String = "$origin/hubs/interop"

    private fun command(json: String) {
        val input = running.process.outputStream
        input.write("$json\n".encodeToByteArray())
        input.flush()
        val answer = running.output.readLine() ?: "the proxy ended"
        check(Json.parseToJsonElement(answer).jsonObject["ok"]?.jsonPrimitive?.boolean == true) { answer }
    }

    /** Closes all connections; new ones are let through. */
    fun cut() = command("""{"cut":true}""")

    /** Closes all connections and refuses new ones. */
    fun block() {
        command("""{"faults":{"accept":"refuse"}}""")
        cut()
    }

    /** Connections stay open, and nothing gets through. */
    fun halfOpen() = command("""{"faults":{"toUpstream":{"hole":true},"toClient":{"hole":true}}}""")

    /** Ends all faults. */
    fun unblock() = command("""{"faults":{}}""")

    fun end() = running.end(kill = false)
}

/** The paths of the classes of the tests, and of all they need. */
internal val testClasses: String
    get() = System.getProperty("surefire.test.class.path") ?: System.getProperty("java.class.path")

/** A program in Kotlin, in a process of its own. */
internal fun java(name: String, vararg arguments: String, classes: String = testClasses): Process {
    // One for another processor has to be started by what emulates it.
    val java = System.getProperty("hubwire.java").orEmpty()
        .ifEmpty { File(File(System.getProperty("java.home"), "bin"), "java").path }
    return ProcessBuilder(java, "-cp", classes, name, *arguments)
        .redirectError(ProcessBuilder.Redirect.INHERIT)
        .start()
}
