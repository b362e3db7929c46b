/// What a ``HubManager`` knows of one hub. Only the manager touches it.
final class ManagedHub {
  let path: String
  let connection: HubConnection
  var waiters: [UInt64: Promise<Void>] = [:]
  var uses = 0
  /// It has a place among the connections that there may be.
  var isActive = false
  /// It was closed for want of use: the next use starts it again.
  var resumes = false
  /// A start of the manager is under way; which one of them.
  var starting: UInt64 = 0
  var stopping: Task<Void, Never>?
  /// What is smaller is idle for longer.
  var idleSince: UInt64 = 0
  var timer: Task<Void, Never>?
  var watcher: Task<Void, Never>?

  init(_ path: String, _ connection: HubConnection) {
    (self.path, self.connection) = (path, connection)
  }

  deinit {
    timer?.cancel()
    watcher?.cancel()
  }

  /// And is to be.
  var isConnected: Bool { connection.state == .connected && stopping == nil }

  /// Nobody would miss it.
  var isIdle: Bool {
    uses == 0 && waiters.isEmpty && !connection.isListening && connection.pendingCalls == 0
      && connection.outbox.depth == 0
  }

  func answer(_ result: Result<Void, any Error>) {
    let all = waiters.values
    waiters = [:]
    all.forEach { $0.resolve(result) }
  }

  func named(_ error: any Error) -> any Error {
    guard let error = error as? HubError else { return error }
    return HubError(kind: error.kind, message: "\(path): \(error.message)")
  }
}
