internal import HubwireFFI

/// What may be asked for one call.
public struct CallOptions: Sendable, Hashable {
  /// What leaves the outbox first; calls of one priority keep their order.
  public enum Priority: Sendable, CaseIterable {
    case low, normal, high, critical
  }

  /// The longest time from making the call to its end. Past it: the kind Timeout.
  public var timeout: Duration?
  /// A call that still waits in the outbox then is given up.
  public var expiresAfter: Duration?
  /// What leaves the outbox first.
  public var priority: Priority
  /// Takes the place of the queued call with the same key.
  public var supersedeKey: String?
  /// The method may run twice: the call is made again if its outcome is unknown.
  public var isIdempotent: Bool
  /// It is in the store before it counts as accepted, and outlives the process. Needs ``OutboxOptions/store``.
  public var isDurable: Bool
  /// Without a connection: wait for one (the default, unless the outbox is off), or fail at once.
  public var queues: Bool

  /// Options; what is left out has its default.
  public init(
    timeout: Duration? = nil, expiresAfter: Duration? = nil, priority: Priority = .normal, supersedeKey: String? = nil,
    isIdempotent: Bool = false, isDurable: Bool = false, queues: Bool = true
  ) {
    self.timeout = timeout
    self.expiresAfter = expiresAfter
    self.priority = priority
    self.supersedeKey = supersedeKey
    self.isIdempotent = isIdempotent
    self.isDurable = isDurable
    self.queues = queues
  }

  /// Nil where nothing is asked: the core does less for such calls.
  var settings: HubwireFFI.CallSettings? {
    guard self != CallOptions() else { return nil }
    let priority: HubwireFFI.Priority =
      switch priority {
      case .low: .low
      case .normal: .normal
      case .high: .high
      case .critical: .critical
      }
    return HubwireFFI.CallSettings(
      timeout: timeout?.milliseconds, expiresAfter: expiresAfter?.milliseconds, priority: priority,
      supersedeKey: supersedeKey, idempotent: isIdempotent, durable: isDurable, queue: queues)
  }
}

/// What may be asked for one stream.
public struct StreamOptions: Sendable, Hashable {
  /// What happens to items that come faster than they are read.
  public enum Buffering: Sendable, Hashable {
    /// At most so many wait. With more, the stream fails with the kind Overflow and is cancelled.
    case bounded(Int)
    /// All wait, and while 8 MiB do, nothing more is read from the server, on the whole connection. A reader that calls the hub
    /// between two items would then wait for itself: use this where the loop does nothing of that kind.
    case holdBack
  }

  /// What happens to items that come faster than they are read. Default: 10,000 wait.
  public var buffering: Buffering
  /// Of the call. What is for stored calls is not for streams.
  public var call: CallOptions

  /// Options; what is left out has its default.
  public init(buffering: Buffering = .bounded(10_000), call: CallOptions = CallOptions()) {
    (self.buffering, self.call) = (buffering, call)
  }
}
