internal import HubwireFFI

/// Something that happened on a connection besides messages and changes of the state.
public enum ConnectionEvent: Sendable {
  /// There will be another attempt.
  case retryScheduled(previousRetryCount: Int, delay: Duration, reason: HubError)
  /// A lost transport was replaced, with nothing missing.
  case resumed
  /// What waits in the outbox has changed.
  case outboxChanged(OutboxProgress)
  /// The store of the outbox could not be written.
  case storeFailed(HubError)
  /// A group could not be joined again with that method.
  case rejoinFailed(target: String, HubError)
  /// Messages were lost for good.
  case gap(GapSource, HubError)
  /// The grade of the connection has changed.
  case qualityChanged(Quality)
  /// The token was refreshed in place, or could not be.
  case tokenRefreshed(HubError?)
  /// A handler of that target failed, or could not be given its arguments.
  case handlerFailed(target: String, any Error)
}

/// Where messages were lost.
public enum GapSource: Sendable, Hashable {
  /// In a stream with history.
  case stream(String)
  /// Among the changes of an object.
  case object(target: String, key: String)
}

/// How good a connection is.
public struct Quality: Sendable, Hashable {
  /// How good a connection is, in one word.
  public enum Grade: String, Sendable, CaseIterable {
    /// Nobody notices it.
    case good
    /// One notices it.
    case fair
    /// It disturbs.
    case poor
    /// There is none.
    case lost
  }

  /// In one word.
  public let grade: Grade
  /// The smoothed round-trip time, once it was measured.
  public let roundTrip: Duration?
  /// How much it varies.
  public let jitter: Duration
}

/// What waits in the outbox.
public struct OutboxProgress: Sendable, Hashable {
  /// How many calls.
  public let depth: Int
  /// About how many bytes they have.
  public let bytes: Int
  /// How long the oldest has waited.
  public let oldestAge: Duration?
}

/// Counters since the connection object was made, and where it stands.
public struct Metrics: Sendable, Hashable {
  /// Connections that were made, the first included.
  public let connections: Int
  /// Those that replaced a lost one.
  public let reconnections: Int
  /// Transports that were replaced with nothing missing.
  public let resumes: Int
  /// Attempts after one that failed.
  public let retries: Int
  /// Messages written.
  public let messagesSent: Int
  /// Messages read.
  public let messagesReceived: Int
  /// Messages that came again and were not handed out again.
  public let duplicatesDropped: Int
  /// Times that messages were lost for good.
  public let gaps: Int
  /// Messages acknowledged.
  public let acknowledged: Int
  /// Messages refused.
  public let nacked: Int
  /// Messages that could not be read.
  public let malformed: Int
  /// Times that missing messages were asked for.
  public let recoveries: Int
  /// Times that whole objects were asked for.
  public let snapshots: Int
  /// How long the last connection took to be made.
  public let connectLatency: Duration?
  /// What waits.
  public let outbox: OutboxProgress
  /// How good the connection is.
  public let quality: Quality
}

/// What the platform knows about the network and the application.
public enum Hint: String, Sendable, CaseIterable {
  /// There is a network: connect at once.
  case online
  /// There is none: wait.
  case offline
  /// The device slept.
  case resumed
  /// The application is seen.
  case foreground
  /// It is not.
  case background
}

extension ConnectionEvent {
  init(_ event: HubwireFFI.ConnectionEvent) {
    switch event {
    case .retryScheduled(let count, let delay, let fault):
      self = .retryScheduled(
        previousRetryCount: Int(clamping: count), delay: Duration(milliseconds: delay), reason: HubError(fault))
    case .resumed: self = .resumed
    case .outboxChanged(let outbox): self = .outboxChanged(OutboxProgress(outbox))
    case .storeFailed(let fault): self = .storeFailed(HubError(fault))
    case .rejoinFailed(let target, let fault): self = .rejoinFailed(target: target, HubError(fault))
    case .gap(.stream(let stream), let fault): self = .gap(.stream(stream), HubError(fault))
    case .gap(.object(let target, let key), let fault):
      self = .gap(.object(target: target, key: key), HubError(fault))
    case .qualityChanged(let quality): self = .qualityChanged(Quality(quality))
    case .tokenRefreshed(let fault): self = .tokenRefreshed(fault.map(HubError.init))
    }
  }
}

extension Quality {
  init(_ quality: HubwireFFI.Quality) {
    switch quality.grade {
    case .good: grade = .good
    case .fair: grade = .fair
    case .poor: grade = .poor
    case .lost: grade = .lost
    }
    roundTrip = quality.rtt.map(Duration.init(milliseconds:))
    jitter = Duration(milliseconds: quality.jitter)
  }
}

extension OutboxProgress {
  init(_ outbox: HubwireFFI.OutboxProgress) {
    depth = Int(clamping: outbox.depth)
    bytes = Int(clamping: outbox.bytes)
    oldestAge = outbox.oldestAge.map(Duration.init(milliseconds:))
  }
}

extension Metrics {
  init(_ metrics: HubwireFFI.Metrics) {
    connections = Int(clamping: metrics.connections)
    reconnections = Int(clamping: metrics.reconnections)
    resumes = Int(clamping: metrics.resumes)
    retries = Int(clamping: metrics.retries)
    messagesSent = Int(clamping: metrics.messagesSent)
    messagesReceived = Int(clamping: metrics.messagesReceived)
    duplicatesDropped = Int(clamping: metrics.duplicatesDropped)
    gaps = Int(clamping: metrics.gaps)
    acknowledged = Int(clamping: metrics.acknowledged)
    nacked = Int(clamping: metrics.nacked)
    malformed = Int(clamping: metrics.malformed)
    recoveries = Int(clamping: metrics.recoveries)
    snapshots = Int(clamping: metrics.snapshots)
    connectLatency = metrics.connectLatency.map(Duration.init(milliseconds:))
    outbox = OutboxProgress(metrics.outbox)
    quality = Quality(metrics.quality)
  }
}

extension HubwireFFI.Hint {
  init(_ hint: Hint) {
    switch hint {
    case .online: self = .online
    case .offline: self = .offline
    case .resumed: self = .resumed
    case .foreground: self = .foreground
    case .background: self = .background
    }
  }
}
