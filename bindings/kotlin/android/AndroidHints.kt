// For applications on Android: copy this file. It needs `androidx.lifecycle:lifecycle-process` and the permission
// `android.permission.ACCESS_NETWORK_STATE`. It is not part of the library, which knows nothing of Android, and the
// build of the repository does not compile it.
package dev.hubwire.android

import android.content.Context
import android.net.ConnectivityManager
import android.net.Network
import android.net.NetworkCapabilities
import android.os.Handler
import android.os.Looper
import androidx.lifecycle.DefaultLifecycleObserver
import androidx.lifecycle.LifecycleOwner
import androidx.lifecycle.ProcessLifecycleOwner
import dev.hubwire.Detachable
import dev.hubwire.Hint
import dev.hubwire.HintSink
import dev.hubwire.PlatformHints
import java.util.concurrent.atomic.AtomicBoolean

/**
 * Tells connections what Android knows: whether there is a network, and whether the application is seen.
 *
 * ```
 * val hints = AndroidHints(applicationContext)
 * val attached = connection.attach(hints)
 * ```
 */
class AndroidHints(context: Context) : PlatformHints {
    private val connectivity =
        context.applicationContext.getSystemService(Context.CONNECTIVITY_SERVICE) as ConnectivityManager

    override fun attach(sink: HintSink): Detachable {
        val network = NetworkHints(sink)
        val lifecycle = LifecycleHints(sink)
        // Tells of the present network at once.
        connectivity.registerDefaultNetworkCallback(network)
        // Observers are added and removed on the main thread only.
        val main = Handler(Looper.getMainLooper())
        main.post { ProcessLifecycleOwner.get().lifecycle.addObserver(lifecycle) }
        val isAttached = AtomicBoolean(true)
        return Detachable {
            if (isAttached.getAndSet(false)) {
                connectivity.unregisterNetworkCallback(network)
                main.post { ProcessLifecycleOwner.get().lifecycle.removeObserver(lifecycle) }
            }
        }
    }
}

private class NetworkHints(private val sink: HintSink) : ConnectivityManager.NetworkCallback() {
    /** A network that was not yet found to lead anywhere is none. */
    private var isOnline: Boolean? = null

    override fun onCapabilitiesChanged(network: Network, capabilities: NetworkCapabilities) {
        tell(capabilities.hasCapability(NetworkCapabilities.NET_CAPABILITY_VALIDATED))
    }

    override fun onAvailable(network: Network) {
        // Another default network: sockets of the one before are dead. Its capabilities come next.
        isOnline = null
    }

    override fun onLost(network: Network) = tell(false)

    private fun tell(online: Boolean) {
        if (isOnline != online) {
            isOnline = online
            sink.hint(if (online) Hint.Online else Hint.Offline)
        }
    }
}

private class LifecycleHints(private val sink: HintSink) : DefaultLifecycleObserver {
    override fun onStart(owner: LifecycleOwner) {
        sink.hint(Hint.Foreground)
    }

    override fun onStop(owner: LifecycleOwner) {
        sink.hint(Hint.Background)
    }
}
