internal import HubwireFFI

/// Where a connection stands.
public enum ConnectionState: String, Sendable, CaseIterable {
  /// There is none, and none is being made.
  case disconnected = "Disconnected"
  /// The first one is being made.
  case connecting = "Connecting"
  /// Messages go both ways.
  case connected = "Connected"
  /// It was lost and is made again.
  case reconnecting = "Reconnecting"
  /// It is being closed.
  case disconnecting = "Disconnecting"
}

/// A change of the state of a connection.
public struct StateChange: Sendable, Hashable {
  /// What made the state change.
  public enum Cause: Sendable, Hashable {
    /// The application asked for it.
    case requested
    /// The handshake succeeded. The ids are unknown without negotiation.
    case established(connectionID: String?, previousConnectionID: String?)
    /// The server closed the connection in order.
    case serverClosed(allowReconnect: Bool)
    /// It could not be made, or was lost.
    case failed(HubError)
  }

  /// Before.
  public let old: ConnectionState
  /// Now.
  public let new: ConnectionState
  /// What made it change.
  public let cause: Cause

  /// A change; for tests of applications.
  public init(old: ConnectionState, new: ConnectionState, cause: Cause) {
    (self.old, self.new, self.cause) = (old, new, cause)
  }
}

extension ConnectionState {
  init(_ state: HubwireFFI.ConnectionState) {
    switch state {
    case .disconnected: self = .disconnected
    case .connecting: self = .connecting
    case .connected: self = .connected
    case .reconnecting: self = .reconnecting
    case .disconnecting: self = .disconnecting
    }
  }
}

extension StateChange.Cause {
  init(_ cause: HubwireFFI.Cause) {
    switch cause {
    case .requested: self = .requested
    case .established(let id, let previous): self = .established(connectionID: id, previousConnectionID: previous)
    case .serverClosed(let allowReconnect): self = .serverClosed(allowReconnect: allowReconnect)
    case .failed(let fault): self = .failed(HubError(fault))
    }
  }
}
