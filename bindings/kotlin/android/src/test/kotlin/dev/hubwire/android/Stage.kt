package dev.hubwire.android

import android.app.Activity
import android.app.ActivityManager.RunningAppProcessInfo
import android.app.Application
import android.content.Context
import android.content.ContextWrapper
import android.net.ConnectivityManager
import android.net.ConnectivityManager.NetworkCallback
import android.net.Network
import android.net.NetworkCapabilities
import dev.hubwire.Hint
import dev.hubwire.HintSink
import java.util.concurrent.LinkedBlockingQueue
import org.mockito.ArgumentMatchers.any
import org.mockito.Mockito.doAnswer
import org.mockito.Mockito.mock

/**
 * The parts of Android that hints come from, moved by hand. What has natives is made up: the service behind
 * `ConnectivityManager`, activities, and what the system answers. The other classes are Android's own.
 */
class Stage {
    val callbacks = LinkedHashSet<NetworkCallback>()
    private var active: Network? = network(0)
    private val connectivity = mock(ConnectivityManager::class.java)
    private val application = object : Application() {
        override fun getApplicationContext(): Context = this

        override fun getSystemService(name: String): Any? =
            connectivity.takeIf { name == Context.CONNECTIVITY_SERVICE }
    }

    /** Another than the application, as an activity is. */
    val context: Context = object : ContextWrapper(null) {
        override fun getApplicationContext(): Context = application
    }

    init {
        SystemServer.importance = RunningAppProcessInfo.IMPORTANCE_SERVICE
        doAnswer { active }.`when`(connectivity).activeNetwork
        doAnswer { callbacks += it.getArgument<NetworkCallback>(0) }
            .`when`(connectivity).registerDefaultNetworkCallback(any())
        doAnswer { check(callbacks.remove(it.getArgument<NetworkCallback>(0))) { "it is not registered" } }
            .`when`(connectivity).unregisterNetworkCallback(any<NetworkCallback>())
    }

    /** There is no network. */
    fun isolate() {
        active = null
    }

    /** What Android calls when there is another default network. */
    fun available(network: Network, validated: Boolean? = true) {
        callbacks.forEach { it.onAvailable(network) }
        validated?.let { capabilities(network, it) }
    }

    fun capabilities(network: Network, validated: Boolean) {
        val capabilities = NetworkCapabilities()
        if (validated) {
            // Its result is another in the class of API 24.
            val add = NetworkCapabilities::class.java.getMethod("addCapability", Int::class.java)
            add.invoke(capabilities, NetworkCapabilities.NET_CAPABILITY_VALIDATED)
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

    /** What the system believes of the process: a constant of `RunningAppProcessInfo`. */
    fun importance(importance: Int) {
        SystemServer.importance = importance
    }

    /** What each activity tells the application, as its own methods do: `Started`, … */
    fun tell(event: String, activity: Activity) {
        val dispatch = Application::class.java.getDeclaredMethod("dispatchActivity$event", Activity::class.java)
        dispatch.isAccessible = true
        dispatch.invoke(application, activity)
    }

    fun enter(activity: Activity) = listOf("Started", "Resumed").forEach { tell(it, activity) }

    fun leave(activity: Activity) = listOf("Paused", "Stopped", "Destroyed").forEach { tell(it, activity) }

    /** How many listen to activities. */
    val listeners: Int
        get() {
            val field = Application::class.java.getDeclaredField("mActivityLifecycleCallbacks")
            field.isAccessible = true
            return (field.get(application) as List<*>).size
        }

    companion object {
        fun network(id: Int): Network = Network(id)

        fun activity(isChangingConfigurations: Boolean = false): Activity = mock(Activity::class.java).also {
            doAnswer { isChangingConfigurations }.`when`(it).isChangingConfigurations
        }
    }
}

/** Hints, of those that are of interest, in the order in which they came. */
class Heard(private val interest: Set<Hint> = Hint.entries.toSet()) : HintSink {
    private val hints = LinkedBlockingQueue<Hint>()

    override fun hint(hint: Hint) {
        if (hint in interest) {
            hints.put(hint)
        }
    }

    /** What came since the last time. */
    fun all(): List<Hint> = buildList { hints.drainTo(this) }
}
