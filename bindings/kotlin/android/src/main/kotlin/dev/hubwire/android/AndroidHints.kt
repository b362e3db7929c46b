// For applications on Android: copy this file. It needs `androidx.lifecycle:lifecycle-process` and the permission
// `android.permission.ACCESS_NETWORK_STATE`, works from API 24 on, and is compiled with API 29 or later. It is not part
// of the library, which knows nothing of Android.
package dev.hubwire.android

import android.content.Context
import android.net.ConnectivityManager
import android.net.Network
import android.net.NetworkCapabilities
import android.os.Handler
import android.os.Looper
import androidx.lifecycle.DefaultLifecycleObserver
import androidx.lifecycle.Lifecycle
import androidx.lifecycle.LifecycleOwner
import androidx.lifecycle.ProcessLifecycleOwner
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
    private val connectivity =
        context.applicationContext.getSystemService(Context.CONNECTIVITY_SERVICE) as ConnectivityManager

    override fun attach(sink: HintSink): Detachable {
        val gate = Gate(sink)
        // Nothing is called as long as there is no network.
        if (connectivity.activeNetwork == null) {
            gate.hint(Hint.Offline)
        }
        val network = NetworkHints(gate)
        connectivity.registerDefaultNetworkCallback(network)
        // Observers are added and removed on the main thread only, which nobody should wait for.
        val main = Handler(Looper.getMainLooper())
        val lifecycle = LifecycleHints(gate)
        main.post { lifecycle.begin(ProcessLifecycleOwner.get().lifecycle) }
        return Detachable {
            if (gate.close()) {
                connectivity.unregisterNetworkCallback(network)
                main.post { ProcessLifecycleOwner.get().lifecycle.removeObserver(lifecycle) }
            }
        }
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

/** Used on the main thread. */
private class LifecycleHints(private val gate: Gate) : DefaultLifecycleObserver {
    fun begin(lifecycle: Lifecycle) {
        // Adding the observer tells when the application is seen, and nothing when it is not.
        if (!lifecycle.currentState.isAtLeast(Lifecycle.State.STARTED)) {
            gate.hint(Hint.Background)
        }
        lifecycle.addObserver(this)
    }

    override fun onStart(owner: LifecycleOwner) = gate.hint(Hint.Foreground)

    override fun onStop(owner: LifecycleOwner) = gate.hint(Hint.Background)
}
