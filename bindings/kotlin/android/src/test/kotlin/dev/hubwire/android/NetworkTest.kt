package dev.hubwire.android

import dev.hubwire.Hint.Offline
import dev.hubwire.Hint.Online
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Test

class NetworkTest {
    private val stage = Stage()
    private val heard = Heard(setOf(Online, Offline))
    private val mobile = Stage.network(1)
    private val wifi = Stage.network(2)

    @Test
    fun `tells that there is no network before anything changes`() {
        stage.isolate()
        AndroidHints(stage.context).attach(heard)
        assertEquals(listOf(Offline), heard.all())
        stage.available(wifi)
        assertEquals(listOf(Online), heard.all())
    }

    @Test
    fun `tells changes only`() {
        AndroidHints(stage.context).attach(heard)
        assertEquals(emptyList<Any>(), heard.all())
        stage.available(mobile)
        assertEquals(listOf(Online), heard.all())
        stage.available(mobile)
        stage.capabilities(mobile, true)
        assertEquals(emptyList<Any>(), heard.all())
        stage.lost(mobile)
        stage.lost(mobile)
        assertEquals(listOf(Offline), heard.all())
        stage.available(mobile)
        assertEquals(listOf(Online), heard.all())
    }

    @Test
    fun `another default network makes the connection doubt its socket`() {
        AndroidHints(stage.context).attach(heard)
        stage.available(mobile)
        stage.available(wifi)
        assertEquals(listOf(Online, Online), heard.all())
        // Some versions of Android say this afterwards.
        stage.lost(mobile)
        stage.capabilities(mobile, false)
        assertEquals(emptyList<Any>(), heard.all())
        stage.lost(wifi)
        assertEquals(listOf(Offline), heard.all())
    }

    @Test
    fun `a network that leads nowhere is tried, and again when it does`() {
        AndroidHints(stage.context).attach(heard)
        stage.available(wifi, validated = false)
        assertEquals(listOf(Online), heard.all())
        stage.capabilities(wifi, true)
        assertEquals(listOf(Online), heard.all())
        stage.capabilities(wifi, false)
        assertEquals(emptyList<Any>(), heard.all())
    }

    @Test
    fun `a network that may not be used is none`() {
        AndroidHints(stage.context).attach(heard)
        stage.available(wifi, validated = false)
        stage.blocked(wifi, false)
        assertEquals(listOf(Online), heard.all())
        stage.blocked(wifi, true)
        stage.blocked(wifi, true)
        stage.capabilities(wifi, true)
        assertEquals(listOf(Offline), heard.all())
        stage.blocked(wifi, false)
        assertEquals(listOf(Online), heard.all())
        // Each network by itself.
        stage.blocked(wifi, true)
        stage.available(mobile)
        stage.blocked(mobile, true)
        assertEquals(listOf(Offline, Online, Offline), heard.all())
    }

    @Test
    fun `tells nothing after it was detached`() {
        stage.isolate()
        val attached = AndroidHints(stage.context).attach(heard)
        val callback = stage.callbacks.single()
        heard.all()
        attached.detach()
        assertEquals(0, stage.callbacks.size)
        // It was on its way.
        callback.onAvailable(wifi)
        attached.detach()
        assertEquals(emptyList<Any>(), heard.all())
    }

    @Test
    fun `each connection is told`() {
        val other = Heard(setOf(Online, Offline))
        val hints = AndroidHints(stage.context)
        val attached = hints.attach(heard)
        hints.attach(other)
        stage.available(wifi)
        attached.detach()
        stage.lost(wifi)
        assertEquals(listOf(Online), heard.all())
        assertEquals(listOf(Online, Offline), other.all())
    }
}
