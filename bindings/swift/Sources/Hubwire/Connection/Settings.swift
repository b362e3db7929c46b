import Foundation
internal import HubwireFFI

extension HubConfiguration {
  /// As the core takes it. Throws `misuse` for what it has no words for.
  func settings() throws -> HubwireFFI.Settings {
    HubwireFFI.Settings(
      url: url.absoluteString,
      encoding: encoding == .json ? .json : .messagePack,
      transports: transports?.map(HubwireFFI.Transport.init),
      skipNegotiation: skipNegotiation,
      hasTokenFactory: accessToken != nil,
      keepAliveInterval: keepAliveInterval?.milliseconds,
      serverTimeout: serverTimeout?.milliseconds,
      handshakeTimeout: handshakeTimeout?.milliseconds,
      requestTimeout: requestTimeout?.milliseconds,
      closeTimeout: closeTimeout?.milliseconds,
      statefulReconnect: try size(statefulReconnect, "statefulReconnect"),
      tokenRefresh: tokenRefresh,
      retry: HubwireFFI.RetrySchedule(retry.schedule),
      retryJitter: retry.jitter,
      retryFirstStart: retry.retriesFirstStart,
      maxRetries: try size(retry.maxRetries, "maxRetries").map(UInt32.init(clamping:)),
      outbox: try outbox.settings(),
      store: try outbox.path(),
      delivery: try delivery.settings(),
      positions: positions,
      joins: joins.map { HubwireFFI.Join(join: $0.join, leave: $0.leave) },
      callTimeout: callTimeout?.milliseconds,
      pingMethod: pingMethod,
      sessionId: sessionID,
      announce: announcesExtensions,
      maxMessageSize: try size(maxMessageSize, "maxMessageSize"),
      headers: headers.map { HubwireFFI.Header(name: $0.key, value: $0.value) },
      proxy: proxy,
      rootCertificates: rootCertificates)
  }
}

/// A number of things, or what is wrong with that option.
private func size(_ number: Int?, _ name: String) throws -> UInt64? {
  guard let number else { return nil }
  guard number >= 0 else {
    throw HubError.misuse("The option '\(name)' must not be negative: \(number).")
  }
  return UInt64(number)
}

extension HubwireFFI.Transport {
  init(_ transport: HubTransport) {
    switch transport {
    case .webSockets: self = .webSockets
    case .serverSentEvents: self = .serverSentEvents
    case .longPolling: self = .longPolling
    }
  }
}

extension HubwireFFI.RetrySchedule {
  init(_ schedule: RetryPolicy.Schedule) {
    switch schedule {
    case .fullJitter(let base, let cap): self = .fullJitter(base: base.milliseconds, cap: cap.milliseconds)
    case .conduit: self = .conduit
    case .table(let delays): self = .table(delays: delays.map(\.milliseconds))
    case .custom: self = .custom
    case .never: self = .never
    }
  }
}

extension OutboxOptions {
  func settings() throws -> HubwireFFI.OutboxSettings {
    let policy: HubwireFFI.FullPolicy =
      switch whenFull {
      case .reject: .reject
      case .dropOldest: .dropOldest
      case .dropNewest: .dropNewest
      }
    return HubwireFFI.OutboxSettings(
      maxItems: try size(maxItems, "maxItems"),
      maxBytes: try size(maxBytes, "maxBytes"),
      window: try size(window, "window"),
      whenFull: policy)
  }

  func path() throws -> String? {
    guard let store else { return nil }
    guard store.isFileURL else {
      throw HubError.misuse("The option 'store' must be the URL of a file: \(store.absoluteString).")
    }
    return store.path
  }
}

extension HubwireFFI.AckMode {
  init(_ mode: DeliveryOptions.Acknowledgement) {
    switch mode {
    case .automatic: self = .auto
    case .manual: self = .manual
    case .off: self = .off
    }
  }
}

extension DeliveryOptions {
  func settings() throws -> HubwireFFI.DeliverySettings {
    HubwireFFI.DeliverySettings(
      acks: acknowledgement.map(HubwireFFI.AckMode.init),
      targets: targets.map { HubwireFFI.TargetAcks(target: $0.key, mode: HubwireFFI.AckMode($0.value)) },
      ackDelay: acknowledgementDelay?.milliseconds,
      ackWindow: try size(acknowledgementWindow, "acknowledgementWindow"),
      maxUnacknowledged: try size(maxUnacknowledged, "maxUnacknowledged"),
      unpackBatches: unpacksBatches,
      mergeDeltas: mergesDeltas,
      deltaKeys: deltaKeys,
      maxObjects: try size(maxObjects, "maxObjects"),
      maxObjectBytes: try size(maxObjectBytes, "maxObjectBytes"),
      maxHeldDeltas: try size(maxHeldDeltas, "maxHeldDeltas"),
      maxStreams: try size(maxStreams, "maxStreams"))
  }
}
