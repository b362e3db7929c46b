package dev.hubwire.android

import android.app.Activity
import android.os.Looper
import androidx.lifecycle.LifecycleRegistry
import androidx.lifecycle.ProcessLifecycleOwner
import dev.hubwire.Detachable
import dev.hubwire.Hint.Background
import dev.hubwire.Hint.Foreground
import java.util.concurrent.CompletableFuture
import java.util.concurrent.TimeUnit
import kotlin.concurrent.thread
import org.junit.Assert.assertEquals
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner

@RunWith(RobolectricTestRunner::class)
class LifecycleTest {
    private val stage = Stage()
    private val heard = Heard()

    @Test
    fun `tells whether the application is seen`() {
        AndroidHints(stage.application).attach(heard)
        stage.main()
        assertEquals(listOf(Background), heard.all())
        val activity = Robolectric.buildActivity(Activity::class.java).setup()
        stage.main()
        assertEquals(listOf(Foreground), heard.all())
        activity.pause().stop()
        // Another activity may come.
        stage.main()
        assertEquals(emptyList<Any>(), heard.all())
        stage.second()
        assertEquals(listOf(Background), heard.all())
        activity.restart().start()
        stage.main()
        assertEquals(listOf(Foreground), heard.all())
        activity.stop().destroy()
        stage.second()
    }

    @Test
    fun `tells at once when the application is seen already`() {
        val activity = Robolectric.buildActivity(Activity::class.java).setup()
        stage.main()
        AndroidHints(stage.application).attach(heard)
        stage.main()
        assertEquals(listOf(Foreground), heard.all())
        activity.pause().stop().destroy()
        stage.second()
    }

    @Test
    fun `does not wait for the main thread, and tells there`() {
        val attached = elsewhere { AndroidHints(stage.application).attach(heard) }
        // This is the main thread: it has done nothing yet.
        assertEquals(emptyList<Any>(), heard.all())
        stage.main()
        assertEquals(listOf(Background to Looper.getMainLooper().thread), heard.threads())
        elsewhere { attached.detach() }
    }

    @Test
    fun `tells nothing after it was detached, and leaves nothing behind`() {
        val before = observers()
        val first: Detachable = AndroidHints(stage.application).attach(heard)
        stage.main()
        val second = AndroidHints(stage.application).attach(heard)
        heard.all()
        first.detach()
        // Before the main thread came to attach it.
        second.detach()
        val activity = Robolectric.buildActivity(Activity::class.java).setup()
        stage.main()
        activity.pause().stop().destroy()
        stage.second()
        assertEquals(emptyList<Any>(), heard.all())
        assertEquals(before, observers())
    }

    private fun observers(): Int = (ProcessLifecycleOwner.get().lifecycle as LifecycleRegistry).observerCount

    private fun <T> elsewhere(action: () -> T): T {
        val result = CompletableFuture<T>()
        thread { runCatching(action).fold(result::complete, result::completeExceptionally) }
        return result.get(10, TimeUnit.SECONDS)
    }
}
