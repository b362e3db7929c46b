package dev.hubwire.android

import android.app.ActivityManager.RunningAppProcessInfo.IMPORTANCE_CACHED
import android.app.ActivityManager.RunningAppProcessInfo.IMPORTANCE_FOREGROUND
import android.app.ActivityManager.RunningAppProcessInfo.IMPORTANCE_FOREGROUND_SERVICE
import android.app.ActivityManager.RunningAppProcessInfo.IMPORTANCE_VISIBLE
import dev.hubwire.Hint.Background
import dev.hubwire.Hint.Foreground
import dev.hubwire.HintSink
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Test

class LifecycleTest {
    private val stage = Stage()
    private val heard = Heard()

    @Test
    fun `tells whether the application is seen`() {
        AndroidHints(stage.context).attach(heard)
        assertEquals(listOf(Background), heard.all())
        val activity = Stage.activity()
        stage.tell("Started", activity)
        assertEquals(listOf(Foreground), heard.all())
        stage.tell("Resumed", activity)
        stage.tell("Paused", activity)
        assertEquals(emptyList<Any>(), heard.all())
        stage.tell("Stopped", activity)
        assertEquals(listOf(Background), heard.all())
        stage.tell("Started", activity)
        assertEquals(listOf(Foreground), heard.all())
        stage.leave(activity)
        assertEquals(listOf(Background), heard.all())
    }

    @Test
    fun `asks Android how it is`() {
        fun hints(importance: Int) = Heard().also {
            stage.importance(importance)
            AndroidHints(stage.context).attach(it)
        }.all()
        assertEquals(listOf(Foreground), hints(IMPORTANCE_FOREGROUND))
        // Behind a dialogue of another application.
        assertEquals(listOf(Foreground), hints(IMPORTANCE_VISIBLE))
        // Between those two, by its number.
        assertEquals(listOf(Background), hints(IMPORTANCE_FOREGROUND_SERVICE))
        assertEquals(listOf(Background), hints(IMPORTANCE_CACHED))
    }

    @Test
    fun `another activity is still the application`() {
        AndroidHints(stage.context).attach(heard)
        val (one, other) = List(2) { Stage.activity() }
        stage.enter(one)
        stage.enter(other)
        stage.leave(one)
        assertEquals(listOf(Background, Foreground), heard.all())
        stage.leave(other)
        assertEquals(listOf(Background), heard.all())
    }

    @Test
    fun `an activity from before counts`() {
        stage.importance(IMPORTANCE_FOREGROUND)
        AndroidHints(stage.context).attach(heard)
        assertEquals(listOf(Foreground), heard.all())
        val (before, other) = List(2) { Stage.activity() }
        stage.tell("Paused", before)
        stage.enter(other)
        stage.tell("Stopped", before)
        assertEquals(emptyList<Any>(), heard.all())
        stage.tell("Paused", other)
        stage.tell("Stopped", other)
        assertEquals(listOf(Background), heard.all())
    }

    @Test
    fun `an activity from before that could be seen behind another counts`() {
        stage.importance(IMPORTANCE_FOREGROUND)
        AndroidHints(stage.context).attach(heard)
        val (behind, front) = List(2) { Stage.activity() }
        stage.tell("Paused", front)
        stage.tell("Resumed", behind)
        stage.tell("Stopped", front)
        assertEquals(listOf(Foreground), heard.all())
        stage.leave(behind)
        assertEquals(listOf(Background), heard.all())
    }

    @Test
    fun `an activity from before that paused can still be seen`() {
        stage.importance(IMPORTANCE_FOREGROUND)
        AndroidHints(stage.context).attach(heard)
        val (behind, front) = List(2) { Stage.activity() }
        stage.tell("Paused", behind)
        stage.enter(front)
        stage.leave(front)
        assertEquals(listOf(Foreground), heard.all())
        stage.tell("Stopped", behind)
        assertEquals(listOf(Background), heard.all())
    }

    @Test
    fun `rotating the device tells nothing`() {
        AndroidHints(stage.context).attach(heard)
        val (portrait, landscape) = listOf(Stage.activity(isChangingConfigurations = true), Stage.activity())
        stage.enter(portrait)
        stage.leave(portrait)
        stage.enter(landscape)
        assertEquals(listOf(Background, Foreground), heard.all())
        stage.leave(landscape)
        assertEquals(listOf(Background), heard.all())
    }

    @Test
    fun `an activity that is rotated and never comes back leaves the application unseen`() {
        AndroidHints(stage.context).attach(heard)
        val portrait = Stage.activity(isChangingConfigurations = true)
        stage.enter(portrait)
        stage.leave(portrait)
        assertEquals(listOf(Background, Foreground), heard.all())
        // It has finished itself when it was created.
        stage.tell("Destroyed", Stage.activity())
        assertEquals(listOf(Background), heard.all())
    }

    @Test
    fun `what activities tell is newer than what Android answers`() {
        val activity = Stage.activity()
        SystemServer.meanwhile = { stage.enter(activity) }
        AndroidHints(stage.context).attach(heard)
        assertEquals(listOf(Foreground), heard.all())
        stage.leave(activity)
        assertEquals(listOf(Background), heard.all())
    }

    @Test
    fun `tells nothing after it was detached, and leaves nothing behind`() {
        val attached = AndroidHints(stage.context).attach(heard)
        assertEquals(1, stage.listeners)
        heard.all()
        attached.detach()
        attached.detach()
        assertEquals(0, stage.listeners)
        val activity = Stage.activity()
        stage.enter(activity)
        stage.leave(activity)
        assertEquals(emptyList<Any>(), heard.all())
    }

    @Test
    fun `what is detached while it is told something gets nothing more`() {
        val hints = AndroidHints(stage.context)
        var detach = {}
        // The first is told before the second, of which Android has the list already.
        hints.attach(HintSink { if (it == Foreground) detach() })
        detach = hints.attach(heard)::detach
        heard.all()
        stage.enter(Stage.activity())
        assertEquals(emptyList<Any>(), heard.all())
    }
}
