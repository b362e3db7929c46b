// For applications on Android: copy this file. It needs the permission `android.permission.ACCESS_NETWORK_STATE`, works from
// API 24 on, and is compiled with API 29 or later. It is not part of the library, which knows nothing of Android.
package dev.hubwire.android

import android.app.Activity
import android.app.ActivityManager
import android.app.ActivityManager.RunningAppProcessInfo
import android.app.Application
import android.content.Context
import android.net.ConnectivityManager
import android.net.Network
import android.net.NetworkCapabilities
import android.os.Bundle
import dev.hubwire.Detachable
import dev.hubwire.Hint
import dev.hubwire.HintSink
import dev.hubwire.PlatformHints

/**
 * Tells connections what Android knows: whether there is a network, and whether the application is seen. First how it
 * is, then what changes.
 *
 * ```
 * val hints = AndroidHints(applicationContext)
 * val attached = connection.attach(hints)
 * ```
 *
 * Detach it when the connection is closed: Android would hold the connection otherwise.
 */
class AndroidHints(context: Context) : PlatformHints {
    private val application = context.applicationContext as Application
    private val connectivity = application.getSystemService(Context.CONNECTIVITY_SERVICE) as ConnectivityManager

    override fun attach(sink: HintSink): Detachable {
        val gate = Gate(sink)
        // Nothing is called as long as there is no network.
        if (connectivity.activeNetwork == null) {
            gate.hint(Hint.Offline)
        }
        val network = NetworkHints(gate)
        connectivity.registerDefaultNetworkCallback(network)
        val activities = ActivityHints(gate)
        application.registerActivityLifecycleCallbacks(activities)
        activities.begin(isSeen())
        return Detachable {
            if (gate.close()) {
                connectivity.unregisterNetworkCallback(network)
                application.unregisterActivityLifecycleCallbacks(activities)
            }
        }
    }

    /** Of the activities from before nobody tells; but Android knows what this process is there for. */
    private fun isSeen(): Boolean {
        val process = RunningAppProcessInfo()
        ActivityManager.getMyMemoryState(process)
        return process.importance == RunningAppProcessInfo.IMPORTANCE_FOREGROUND ||
            process.importance == RunningAppProcessInfo.IMPORTANCE_VISIBLE
    }
}

/** Lets nothing through after it was closed: callbacks may be under way then. */
private class Gate(private val sink: HintSink) : HintSink {
    private var isOpen = true

    @Synchronized
    override fun hint(hint: Hint) {
        if (isOpen) {
            sink.hint(hint)
        }
    }

    /** Whether it was open. */
    @Synchronized
    fun close(): Boolean = isOpen.also { isOpen = false }
}

/** The callbacks come on one thread, which is Android's own. */
private class NetworkHints(private val sink: HintSink) : ConnectivityManager.NetworkCallback() {
    private var current: Network? = null
    private var isValidated: Boolean? = null
    private var isBlocked = false

    /** Another default network, too: sockets of the one before are dead, or soon will be. */
    override fun onAvailable(network: Network) {
        if (network != current) {
            current = network
            isValidated = null
            isBlocked = false
            sink.hint(Hint.Online)
        }
    }

    /**
     * That the network leads to the internet is a reason to try. That it does not is none to wait: the server may be
     * in the same building.
     */
    override fun onCapabilitiesChanged(network: Network, capabilities: NetworkCapabilities) {
        if (network == current) {
            val before = isValidated
            val now = capabilities.hasCapability(NetworkCapabilities.NET_CAPABILITY_VALIDATED)
            isValidated = now
            if (now && before == false && !isBlocked) {
                sink.hint(Hint.Online)
            }
        }
    }

    /** From API 29 on: this application may not use the network, to save energy or data. */
    override fun onBlockedStatusChanged(network: Network, blocked: Boolean) {
        if (network == current && blocked != isBlocked) {
            isBlocked = blocked
            sink.hint(if (blocked) Hint.Offline else Hint.Online)
        }
    }

    override fun onLost(network: Network) {
        // That of another one says nothing: there is a network.
        if (network == current) {
            current = null
            sink.hint(Hint.Offline)
        }
    }
}

/** The callbacks come on the main thread, which may be another than that of [begin]. */
private class ActivityHints(private val sink: HintSink) : Application.ActivityLifecycleCallbacks {
    /** Those that are started. One from before belongs to them as soon as something is heard of it. */
    private val started = HashSet<Activity>()
    private var isSeen: Boolean? = null

    /** [isSeen] is older than what callbacks have told meanwhile. */
    @Synchronized
    fun begin(isSeen: Boolean) {
        if (this.isSeen == null) {
            tell(isSeen)
        }
    }

    override fun onActivityStarted(activity: Activity) = here(activity)

    override fun onActivityResumed(activity: Activity) = here(activity)

    override fun onActivityPaused(activity: Activity) = here(activity)

    override fun onActivityStopped(activity: Activity) = gone(activity)

    override fun onActivityDestroyed(activity: Activity) = gone(activity)

    override fun onActivityCreated(activity: Activity, state: Bundle?) = Unit

    override fun onActivitySaveInstanceState(activity: Activity, state: Bundle) = Unit

    @Synchronized
    private fun here(activity: Activity) {
        started += activity
        tell(true)
    }

    /** The next activity starts before this one stops, except for the one that takes its place when it is rotated. */
    @Synchronized
    private fun gone(activity: Activity) {
        started -= activity
        if (started.isEmpty() && !activity.isChangingConfigurations) {
            tell(false)
        }
    }

    private fun tell(now: Boolean) {
        if (now != isSeen) {
            isSeen = now
            sink.hint(if (now) Hint.Foreground else Hint.Background)
        }
    }
}
