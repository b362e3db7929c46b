package dev.hubwire

/** What the platform knows of the network and the application. */
public enum class Hint {
    /** There is a network: connects at once. */
    Online,

    /** There is none: waits. */
    Offline,

    /** The device slept: connects at once. */
    Resumed,

    /** The application is seen. */
    Foreground,

    /** It is not. */
    Background,
}

/** Takes hints; a [HubConnection] is one. */
public fun interface HintSink {
    /** May be called on any thread; never blocks and never throws. */
    public fun hint(hint: Hint)
}

/** What can be ended. */
public fun interface Detachable {
    /** Ends it; a second time does nothing. */
    public fun detach()
}

/**
 * Feeds connections with what the platform knows. `bindings/kotlin/android` has the one for Android's
 * `ConnectivityManager` and activities.
 */
public interface PlatformHints {
    /** Gives hints to [sink] until it is detached. */
    public fun attach(sink: HintSink): Detachable
}
