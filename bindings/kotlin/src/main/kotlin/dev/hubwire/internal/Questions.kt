package dev.hubwire.internal

import dev.hubwire.RetryContext
import dev.hubwire.RetrySchedule
import dev.hubwire.internal.ffi.Notice
import kotlin.time.Duration.Companion.milliseconds
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.ensureActive
import kotlinx.coroutines.launch

/** What the application is asked: the times of attempts, and tokens. */
internal class Questions(private val link: Link) {
    fun retry(question: Notice.Retry) {
        val reason = question.fault.toException()
        val context = RetryContext(question.previousRetryCount.toInt(), question.elapsed.milliseconds, reason)
        val change = question.change?.toPublic()
        link.tell { it.ask(question.request, change) }
        link.scope.launch {
            val delay = try {
                (link.options.retry?.kind as? RetrySchedule.Kind.Custom)?.policy?.nextDelay(context)
            } catch (error: Throwable) {
                stopIfClosed(error)
                // As if it had given up.
                null
            }
            link.tell { it.answered(question.request, delay != null) }
            link.quietly { retryAfter(question.request, delay?.millis()) }
        }
    }

    fun token(question: ULong) {
        link.scope.launch {
            var failure: String? = null
            val token = try {
                link.options.tokenFactory?.invoke()
            } catch (error: Throwable) {
                stopIfClosed(error)
                failure = textOf(error)
                null
            }
            link.quietly { token(question, token, failure) }
        }
    }

    private suspend fun stopIfClosed(error: Throwable) {
        if (error is CancellationException) {
            currentCoroutineContext().ensureActive()
        }
    }
}
