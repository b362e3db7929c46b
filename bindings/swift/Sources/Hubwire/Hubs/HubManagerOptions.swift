/// Options of a ``HubManager``.
public struct HubManagerOptions: Sendable {
  /// What hubs have in common; called once for each hub, with its path for what they have not.
  public var configure: @Sendable (inout HubConfiguration, String) -> Void = { _, _ in }
  /// How many hubs may have a connection, or be about to have one. Default 100.
  public var maxConnections = 100
  /// How long a hub is idle before its connection is closed; nil for never. Default 5 minutes.
  public var idleAfter: Duration? = .seconds(300)
  /// How long ``HubManager/connect(_:)`` waits for a connection. Default 30 s.
  public var connectTimeout: Duration = .seconds(30)

  /// The defaults.
  public init() {}

  func check() throws {
    guard maxConnections >= 1 else {
      throw HubError.misuse("The option 'maxConnections' must be at least 1: \(maxConnections).")
    }
    guard idleAfter.map({ $0 > .zero }) ?? true else {
      throw HubError.misuse("The option 'idleAfter' must be longer than zero.")
    }
    guard connectTimeout > .zero else {
      throw HubError.misuse("The option 'connectTimeout' must be longer than zero.")
    }
  }
}

/// What became of one hub of ``HubManager/connectAll(_:)``.
public struct HubResult: Sendable {
  /// The path of the hub.
  public let path: String
  /// Its connection, or why there is none.
  public let connection: Result<HubConnection, any Error>
}

/// A change of the state of one hub of a ``HubManager``.
public struct HubStateChange: Sendable {
  /// The path of the hub.
  public let path: String
  /// What has changed.
  public let change: StateChange
}
