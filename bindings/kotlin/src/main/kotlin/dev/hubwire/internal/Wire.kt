package dev.hubwire.internal

import dev.hubwire.AckMode
import dev.hubwire.CallOptions
import dev.hubwire.CommonCallOptions
import dev.hubwire.ConnectionState
import dev.hubwire.ErrorKind
import dev.hubwire.FullPolicy
import dev.hubwire.GapSource
import dev.hubwire.Grade
import dev.hubwire.Hint
import dev.hubwire.HubConnectionOptions
import dev.hubwire.HubEvent
import dev.hubwire.HubException
import dev.hubwire.HubProtocol
import dev.hubwire.Metrics
import dev.hubwire.OutboxProgress
import dev.hubwire.Priority
import dev.hubwire.Quality
import dev.hubwire.RetrySchedule
import dev.hubwire.StateCause
import dev.hubwire.StateChange
import dev.hubwire.Transport
import dev.hubwire.internal.ffi.AckMode as FfiAckMode
import dev.hubwire.internal.ffi.CallSettings as FfiCallSettings
import dev.hubwire.internal.ffi.Cause as FfiCause
import dev.hubwire.internal.ffi.ConnectionEvent as FfiConnectionEvent
import dev.hubwire.internal.ffi.DeliverySettings as FfiDeliverySettings
import dev.hubwire.internal.ffi.Encoding as FfiEncoding
import dev.hubwire.internal.ffi.Fault as FfiFault
import dev.hubwire.internal.ffi.FullPolicy as FfiFullPolicy
import dev.hubwire.internal.ffi.GapSource as FfiGapSource
import dev.hubwire.internal.ffi.Header as FfiHeader
import dev.hubwire.internal.ffi.Hint as FfiHint
import dev.hubwire.internal.ffi.HubFailure as FfiHubFailure
import dev.hubwire.internal.ffi.Join as FfiJoin
import dev.hubwire.internal.ffi.Metrics as FfiMetrics
import dev.hubwire.internal.ffi.OutboxProgress as FfiOutboxProgress
import dev.hubwire.internal.ffi.OutboxSettings as FfiOutboxSettings
import dev.hubwire.internal.ffi.Priority as FfiPriority
import dev.hubwire.internal.ffi.Quality as FfiQuality
import dev.hubwire.internal.ffi.RetrySchedule as FfiRetrySchedule
import dev.hubwire.internal.ffi.Settings as FfiSettings
import dev.hubwire.internal.ffi.StateChange as FfiStateChange
import dev.hubwire.internal.ffi.TargetAcks as FfiTargetAcks
import dev.hubwire.internal.ffi.Transport as FfiTransport
import kotlin.time.Duration
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.DurationUnit

// The values of the border, from and to those of the public API. Times cross it in milliseconds.

/** Enums of both sides have the same names in the same order. */
private inline fun <reified To : Enum<To>> Enum<*>.mirrored(): To = enumValues<To>()[ordinal]

internal fun Duration.millis(): Double = toDouble(DurationUnit.MILLISECONDS)

internal fun FfiFault.toException(): HubException = HubException.of(kind.mirrored<ErrorKind>(), reason)

internal fun FfiHubFailure.toException(): HubException = when (this) {
    is FfiHubFailure.Failed -> HubException.of(kind.mirrored<ErrorKind>(), reason)
}

internal fun FfiStateChange.toPublic(): StateChange {
    val cause = when (val cause = cause) {
        is FfiCause.Requested -> StateCause.Requested
        is FfiCause.Established -> StateCause.Established(cause.connectionId, cause.previousConnectionId)
        is FfiCause.ServerClosed -> StateCause.ServerClosed(cause.allowReconnect)
        is FfiCause.Failed -> StateCause.Failed(cause.fault.toException())
    }
    return StateChange(old.mirrored<ConnectionState>(), new.mirrored<ConnectionState>(), cause)
}

internal fun FfiOutboxProgress.toPublic(): OutboxProgress =
    OutboxProgress(depth.toLong(), bytes.toLong(), oldestAge?.milliseconds)

internal fun FfiQuality.toPublic(): Quality =
    Quality(grade.mirrored<Grade>(), rtt?.milliseconds, jitter.milliseconds)

internal fun FfiMetrics.toPublic(): Metrics = Metrics(
    connections = connections.toLong(),
    reconnections = reconnections.toLong(),
    resumes = resumes.toLong(),
    retries = retries.toLong(),
    messagesSent = messagesSent.toLong(),
    messagesReceived = messagesReceived.toLong(),
    duplicatesDropped = duplicatesDropped.toLong(),
    gaps = gaps.toLong(),
    acknowledged = acknowledged.toLong(),
    nacked = nacked.toLong(),
    malformed = malformed.toLong(),
    recoveries = recoveries.toLong(),
    snapshots = snapshots.toLong(),
    connectLatency = connectLatency?.milliseconds,
    outbox = outbox.toPublic(),
    quality = quality.toPublic(),
)

internal fun FfiConnectionEvent.toPublic(): HubEvent = when (this) {
    is FfiConnectionEvent.RetryScheduled ->
        HubEvent.RetryScheduled(previousRetryCount.toInt(), delay.milliseconds, fault.toException())
    is FfiConnectionEvent.Resumed -> HubEvent.Resumed
    is FfiConnectionEvent.OutboxChanged -> HubEvent.OutboxChanged(outbox.toPublic())
    is FfiConnectionEvent.StoreFailed -> HubEvent.StoreFailed(fault.toException())
    is FfiConnectionEvent.RejoinFailed -> HubEvent.RejoinFailed(target, fault.toException())
    is FfiConnectionEvent.Gap -> {
        val place = when (val source = source) {
            is FfiGapSource.Stream -> GapSource.Stream(source.stream)
            is FfiGapSource.Object -> GapSource.Object(source.target, source.key)
        }
        HubEvent.Gap(place, fault.toException())
    }
    is FfiConnectionEvent.QualityChanged -> HubEvent.QualityChanged(quality.toPublic())
    is FfiConnectionEvent.TokenRefreshed -> HubEvent.TokenRefreshed(fault?.toException())
}

internal fun Hint.toWire(): FfiHint = mirrored()

/** Null when nothing was asked for: that crosses for free. */
internal fun CommonCallOptions.toWire(): FfiCallSettings? {
    val durable = this is CallOptions && durable
    val supersedeKey = (this as? CallOptions)?.supersedeKey
    val plain = timeout == null && expiresAfter == null && priority == Priority.Normal && !idempotent && queue
    if (plain && !durable && supersedeKey == null) {
        return null
    }
    return FfiCallSettings(
        timeout = timeout?.millis(),
        expiresAfter = expiresAfter?.millis(),
        priority = priority.mirrored<FfiPriority>(),
        supersedeKey = supersedeKey,
        idempotent = idempotent,
        durable = durable,
        queue = queue,
    )
}

private fun size(name: String, value: Long?): ULong? {
    if (value != null && value < 0) {
        throw HubException.Misuse("The option '$name' must not be negative: $value.")
    }
    return value?.toULong()
}

internal fun HubConnectionOptions.toWire(url: String): FfiSettings {
    if (maxRetries?.let { it < 0 } == true) {
        throw HubException.Misuse("The option 'maxRetries' must not be negative: $maxRetries.")
    }
    return FfiSettings(
        url = url,
        encoding = if (protocol == HubProtocol.Json) FfiEncoding.JSON else FfiEncoding.MESSAGE_PACK,
        transports = transports?.sorted()?.map { transport: Transport -> transport.mirrored<FfiTransport>() },
        skipNegotiation = skipNegotiation,
        hasTokenFactory = tokenFactory != null,
        keepAliveInterval = keepAliveInterval?.millis(),
        serverTimeout = serverTimeout?.millis(),
        handshakeTimeout = handshakeTimeout?.millis(),
        requestTimeout = requestTimeout?.millis(),
        closeTimeout = closeTimeout?.millis(),
        statefulReconnect = size("statefulReconnect", statefulReconnect),
        tokenRefresh = tokenRefresh,
        retry = retry?.toWire(),
        retryJitter = retryJitter,
        retryFirstStart = retryFirstStart,
        maxRetries = maxRetries?.toUInt(),
        outbox = outbox?.let {
            FfiOutboxSettings(
                maxItems = size("maxItems", it.maxItems),
                maxBytes = size("maxBytes", it.maxBytes),
                window = size("window", it.window),
                whenFull = it.whenFull?.let { policy: FullPolicy -> policy.mirrored<FfiFullPolicy>() },
            )
        },
        store = outbox?.path,
        delivery = delivery?.let {
            FfiDeliverySettings(
                acks = it.acks?.mirrored<FfiAckMode>(),
                targets = it.targets.map { (target, mode: AckMode) ->
                    FfiTargetAcks(target, mode.mirrored<FfiAckMode>())
                },
                ackDelay = it.ackDelay?.millis(),
                ackWindow = size("ackWindow", it.ackWindow),
                maxUnacknowledged = size("maxUnacknowledged", it.maxUnacknowledged),
                unpackBatches = it.unpackBatches,
                mergeDeltas = it.mergeDeltas,
                deltaKeys = it.deltaKeys,
                maxObjects = size("maxObjects", it.maxObjects),
                maxObjectBytes = size("maxObjectBytes", it.maxObjectBytes),
                maxHeldDeltas = size("maxHeldDeltas", it.maxHeldDeltas),
                maxStreams = size("maxStreams", it.maxStreams),
            )
        },
        positions = positions,
        joins = joins.map { FfiJoin(it.join, it.leave) },
        callTimeout = callTimeout?.millis(),
        pingMethod = pingMethod,
        sessionId = sessionId,
        announce = announce,
        maxMessageSize = size("maxMessageSize", maxMessageSize),
        headers = headers.map { (name, value) -> FfiHeader(name, value) },
        proxy = proxy,
        rootCertificates = rootCertificates,
    )
}

private fun RetrySchedule.toWire(): FfiRetrySchedule = when (val kind = kind) {
    is RetrySchedule.Kind.FullJitter -> FfiRetrySchedule.FullJitter(kind.base.millis(), kind.cap.millis())
    is RetrySchedule.Kind.Conduit -> FfiRetrySchedule.Conduit
    is RetrySchedule.Kind.Table -> FfiRetrySchedule.Table(kind.delays.map { it.millis() })
    is RetrySchedule.Kind.Custom -> FfiRetrySchedule.Custom
    is RetrySchedule.Kind.Never -> FfiRetrySchedule.Never
}
