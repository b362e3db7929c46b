package dev.hubwire

/** Where a connection stands. */
public enum class ConnectionState {
    /** There is none, and none is being made. */
    Disconnected,

    /** The first one is being made. */
    Connecting,

    /** Messages go both ways. */
    Connected,

    /** It was lost and is made again. */
    Reconnecting,

    /** It is being closed. */
    Disconnecting,
}

/** A change of the state of a connection. */
public class StateChange internal constructor(
    /** Before. */
    public val from: ConnectionState,
    /** Now. */
    public val to: ConnectionState,
    /** What made it change. */
    public val cause: StateCause,
) {
    override fun toString(): String = "$from -> $to ($cause)"
}

/** What made the state change. */
public sealed interface StateCause {
    /** The application asked for it. */
    public data object Requested : StateCause

    /**
     * The connection is there.
     *
     * [connectionId] is what the server knows it by, null without negotiation; [previousConnectionId] is that of the
     * connection which this one replaces.
     */
    public data class Established(val connectionId: String?, val previousConnectionId: String?) : StateCause

    /** The server closed the connection in order; [allowReconnect] says whether the client may come back. */
    public data class ServerClosed(val allowReconnect: Boolean) : StateCause

    /** It could not be made, or was lost. */
    public data class Failed(val error: HubException) : StateCause
}
