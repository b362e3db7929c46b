/// When a connection that was lost, or could not be made, is tried again.
public struct RetryPolicy: Sendable {
  enum Schedule: Sendable {
    case fullJitter(base: Duration, cap: Duration)
    case conduit
    case table([Duration])
    case custom(@Sendable (RetryContext) async throws -> Duration?)
    case never
  }

  let schedule: Schedule
  /// Draws every delay between zero and that of the schedule. Full jitter always does; for others the default is false.
  public var jitter: Bool?
  /// Whether a first ``HubConnection/start()`` that fails is tried again. Default true for full jitter, else false.
  public var retriesFirstStart: Bool?
  /// Gives up after that many attempts.
  public var maxRetries: Int?

  init(_ schedule: Schedule) {
    self.schedule = schedule
  }

  /// Drawn from zero to `base`, twice that, … up to `cap`, for ever: Hubwire's default.
  public static func fullJitter(base: Duration = .seconds(1), cap: Duration = .seconds(30)) -> RetryPolicy {
    RetryPolicy(.fullJitter(base: base, cap: cap))
  }

  /// 0, 2, 10, 30 s, then give up: what SignalR does.
  public static let signalr = table([.zero, .seconds(2), .seconds(10), .seconds(30)])

  /// 0, 2, 10, 30, 60 s, then give up.
  public static let ailydian = table([.zero, .seconds(2), .seconds(10), .seconds(30), .seconds(60)])

  /// Doubling from 1 s to 30 s for the first minute, then every 30 s, for ever.
  public static let conduit = RetryPolicy(.conduit)

  /// Those delays, then give up.
  public static func table(_ delays: [Duration]) -> RetryPolicy {
    RetryPolicy(.table(delays))
  }

  /// The delay that the application says before each attempt; nil gives up, and so does one that throws.
  public static func custom(
    _ delay: @escaping @Sendable (RetryContext) async throws -> Duration?
  ) -> RetryPolicy {
    RetryPolicy(.custom(delay))
  }

  /// Do not try again.
  public static let never = RetryPolicy(.never)
}

/// What a policy of the application is asked about.
public struct RetryContext: Sendable {
  /// How many attempts have failed since the connection was lost.
  public let previousRetryCount: Int
  /// How long ago that was.
  public let elapsed: Duration
  /// Why the last attempt failed, or the connection was lost.
  public let reason: HubError
}
