package dev.hubwire

/** Whose fault an error is; the same names in every language. */
public enum class ErrorKind {
    /** The caller's. */
    Misuse,

    /** The peer broke the rules. */
    Protocol,

    /** The peer said no. */
    Refused,

    /** The network's. */
    Network,

    /** It took too long. */
    Timeout,

    /** It was taken back, or the connection was stopped. */
    Cancelled,

    /** A limit of this client was reached. */
    Overflow,

    /** Messages were lost. */
    Gap,

    /** It was sent and not answered: it may have run or not. */
    OutcomeUnknown,
}

/**
 * An error of Hubwire: one class for each [ErrorKind].
 *
 * [Cancelled] is not a `CancellationException`: it is what a call ends with that the connection took back, while the
 * coroutine which made it goes on. A coroutine that is cancelled itself sees its own `CancellationException`.
 */
public sealed class HubException(public val kind: ErrorKind, message: String, cause: Throwable?) :
    Exception(message, cause) {

    /** The caller's fault. */
    public class Misuse(message: String, cause: Throwable? = null) : HubException(ErrorKind.Misuse, message, cause)

    /** The peer broke the rules, or sent something of another type. */
    public class Protocol(message: String, cause: Throwable? = null) :
        HubException(ErrorKind.Protocol, message, cause)

    /** The peer said no, with its text. */
    public class Refused(message: String, cause: Throwable? = null) : HubException(ErrorKind.Refused, message, cause)

    /** The network's fault. */
    public class Network(message: String, cause: Throwable? = null) : HubException(ErrorKind.Network, message, cause)

    /** It took too long. */
    public class Timeout(message: String, cause: Throwable? = null) : HubException(ErrorKind.Timeout, message, cause)

    /** It was taken back, or the connection was stopped. */
    public class Cancelled(message: String, cause: Throwable? = null) :
        HubException(ErrorKind.Cancelled, message, cause)

    /** A limit of this client was reached. */
    public class Overflow(message: String, cause: Throwable? = null) :
        HubException(ErrorKind.Overflow, message, cause)

    /** Messages were lost. */
    public class Gap(message: String, cause: Throwable? = null) : HubException(ErrorKind.Gap, message, cause)

    /** It was sent and not answered: it may have run or not. */
    public class OutcomeUnknown(message: String, cause: Throwable? = null) :
        HubException(ErrorKind.OutcomeUnknown, message, cause)

    internal companion object {
        fun of(kind: ErrorKind, message: String): HubException = when (kind) {
            ErrorKind.Misuse -> Misuse(message)
            ErrorKind.Protocol -> Protocol(message)
            ErrorKind.Refused -> Refused(message)
            ErrorKind.Network -> Network(message)
            ErrorKind.Timeout -> Timeout(message)
            ErrorKind.Cancelled -> Cancelled(message)
            ErrorKind.Overflow -> Overflow(message)
            ErrorKind.Gap -> Gap(message)
            ErrorKind.OutcomeUnknown -> OutcomeUnknown(message)
        }
    }
}
