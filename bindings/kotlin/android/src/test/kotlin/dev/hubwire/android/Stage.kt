package dev.hubwire.android

import android.app.Application
import android.content.Context
import android.net.ConnectivityManager
import android.net.ConnectivityManager.NetworkCallback
import android.net.Network
import android.net.NetworkCapabilities
import android.os.Looper
import androidx.lifecycle.ProcessLifecycleOwner
import dev.hubwire.Hint
import dev.hubwire.HintSink
import java.time.Duration
import java.util.concurrent.LinkedBlockingQueue
import java.util.concurrent.atomic.AtomicBoolean
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.shadows.ShadowNetwork
import org.robolectric.shadows.ShadowNetworkCapabilities

/** The parts of Android that hints come from, moved by hand. */
class Stage {
    val application: Application = RuntimeEnvironment.getApplication()
    private val connectivity = application.getSystemService(Context.CONNECTIVITY_SERVICE) as ConnectivityManager
    private val shadow = shadowOf(connectivity)

    init {
        // What the content provider of lifecycle-process does when an application starts; there is no manifest here.
        val dispatcher = Class.forName("androidx.lifecycle.LifecycleDispatcher")
        // It does so once in a process, but each test has an application of its own.
        val initialized = dispatcher.getDeclaredField("initialized").apply { isAccessible = true }
        (initialized.get(null) as AtomicBoolean).set(false)
        dispatcher.getMethod("init", Context::class.java).invoke(null, application)
        val init = ProcessLifecycleOwner::class.java.declaredMethods.single { it.name.startsWith("init$") }
        init.invoke(null, application)
    }

    /** There is no network. */
    fun isolate() {
        shadow.setActiveNetworkInfo(null)
    }

    val callbacks: Set<NetworkCallback> get() = shadow.networkCallbacks

    /** What Android calls when there is another default network. */
    fun available(network: Network, validated: Boolean? = true) {
        callbacks.forEach { it.onAvailable(network) }
        validated?.let { capabilities(network, it) }
    }

    fun capabilities(network: Network, validated: Boolean) {
        val capabilities = ShadowNetworkCapabilities.newInstance()
        if (validated) {
            shadowOf(capabilities).addCapability(NetworkCapabilities.NET_CAPABILITY_VALIDATED)
        }
        callbacks.forEach { it.onCapabilitiesChanged(network, capabilities) }
    }

    fun lost(network: Network) = callbacks.forEach { it.onLost(network) }

    /** The method is not in the class of API 24. */
    fun blocked(network: Network, blocked: Boolean) = callbacks.forEach {
        val method = it.javaClass.getMethod("onBlockedStatusChanged", Network::class.java, Boolean::class.java)
        method.isAccessible = true
        method.invoke(it, network, blocked)
    }

    /** Runs what waits for the main thread. */
    fun main() = shadowOf(Looper.getMainLooper()).idle()

    /** The same, and what waits for less than a second: the process has stopped when no activity came meanwhile. */
    fun second() = shadowOf(Looper.getMainLooper()).idleFor(Duration.ofSeconds(1))

    companion object {
        fun network(id: Int): Network = ShadowNetwork.newInstance(id)
    }
}

/** Hints in the order in which they came, with the names of their threads. */
class Heard : HintSink {
    private val hints = LinkedBlockingQueue<Pair<Hint, Thread>>()

    override fun hint(hint: Hint) {
        hints.put(hint to Thread.currentThread())
    }

    /** What came since the last time. */
    fun all(): List<Hint> = threads().map { it.first }

    fun threads(): List<Pair<Hint, Thread>> = buildList { hints.drainTo(this) }
}
