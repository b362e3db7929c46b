internal import HubwireFFI

/// The way to the core, until the connection is closed.
final class Link: Sendable {
  private let connection = Locked<HubwireFFI.Connection?>(nil)

  /// Nil once it is closed.
  var core: HubwireFFI.Connection? {
    connection.withLock { $0 }
  }

  /// For commands: throws what use after the end is.
  func command() throws -> HubwireFFI.Connection {
    guard let core else {
      throw HubError.misuse("The connection was closed.")
    }
    return core
  }

  func open(_ core: HubwireFFI.Connection) {
    connection.withLock { $0 = core }
  }

  /// Returns what was there.
  func close() -> HubwireFFI.Connection? {
    connection.withLock { connection in
      defer { connection = nil }
      return connection
    }
  }
}
