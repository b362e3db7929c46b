package dev.hubwire.hubs

import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.Job
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.delay
import kotlinx.coroutines.launch

/** Turns key presses into as few messages as it takes to be seen writing. */
internal class TypingSignal(private val tell: (method: String, conversation: String) -> Unit) {
    private class Writing {
        var idle: Job? = null

        /** While it runs, the server knows. */
        var told: Job? = null
    }

    // What runs here ends by itself, after seconds.
    private val scope = CoroutineScope(SupervisorJob() + Dispatchers.Default)
    private val writing = HashMap<String, Writing>()

    fun start(conversation: String) {
        val isNew = synchronized(writing) {
            val one = writing.getOrPut(conversation) { Writing() }
            one.idle?.cancel()
            one.idle = scope.launch {
                delay(IDLE)
                stop(conversation)
            }
            val isNew = one.told?.isActive != true
            if (isNew) {
                one.told = scope.launch { delay(REPEAT) }
            }
            isNew
        }
        if (isNew) {
            tell("StartTyping", conversation)
        }
    }

    fun stop(conversation: String) {
        if (forget(conversation)) {
            tell("StopTyping", conversation)
        }
    }

    /** As [stop], where the server knows by itself. Returns whether the user was writing. */
    fun forget(conversation: String): Boolean {
        val gone = synchronized(writing) { writing.remove(conversation) }
        gone?.idle?.cancel()
        gone?.told?.cancel()
        return gone != null
    }

    private companion object {
        /** A user counts as writing for that long after the last key. */
        val IDLE = 3.seconds

        /** The server forgets after 5 s that somebody writes: it is told again before. */
        val REPEAT = 2_500.milliseconds
    }
}
