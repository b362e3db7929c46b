internal import HubwireFFI

/// The state of a connection, and who waits for a start or a stop.
final class Lifecycle: Sendable {
  private struct State {
    var state = ConnectionState.disconnected
    var connectionID: String?
    var starts: [UInt64: Promise<Void>] = [:]
    var stops: [UInt64: Promise<Void>] = [:]
    /// A policy was asked and has said nothing: what changes unless it gives up.
    var question: (request: UInt64, change: HubwireFFI.StateChange)?
    /// What all ended with: from then on nothing begins, for nobody would end it.
    var end: HubError?
  }

  private let log: Log
  private let state = Locked(State())
  private let changes = Broadcast<StateChange>()
  private let states = Broadcast<ConnectionState>()

  init(log: Log) {
    self.log = log
  }

  var current: ConnectionState { state.withLock { $0.state } }
  var connectionID: String? { state.withLock { $0.connectionID } }
  /// Whether somebody would miss the connection.
  var isBusy: Bool { state.withLock { $0.state != .disconnected || !$0.starts.isEmpty || !$0.stops.isEmpty } }

  func stateStream() -> AsyncStream<ConnectionState> {
    state.withLock { states.stream(first: $0.state) }
  }

  func changeStream() -> AsyncStream<StateChange> {
    changes.stream()
  }

  /// Begins a start. Under the lock, as its end may come before this returns.
  func start(_ core: HubwireFFI.Connection) throws -> (ticket: UInt64, end: Promise<Void>) {
    try state.withLock { state in
      if let end = state.end { throw end }
      let ticket: UInt64
      do { ticket = try core.start() } catch { throw HubError(failure: error) }
      let end = Promise<Void>()
      state.starts[ticket] = end
      return (ticket, end)
    }
  }

  func isStarting(_ ticket: UInt64) -> Bool {
    state.withLock { $0.starts[ticket] != nil }
  }

  /// Begins a stop: from now on that is all that counts. Nil when there is nothing to stop any more.
  func stop(_ core: HubwireFFI.Connection) -> Promise<Void>? {
    state.withLock { state in
      guard state.end == nil else { return nil }
      let end = Promise<Void>()
      state.stops[core.stop()] = end
      if state.state != .disconnected {
        change(&state, to: .disconnecting, .requested)
      }
      return end
    }
  }

  /// What the core says.
  func follow(_ change: HubwireFFI.StateChange) {
    state.withLock { state in
      if ConnectionState(change.new) == .disconnected {
        // It was given up, or stopped: nothing was tried again.
        state.question = nil
      }
      goOn(&state)
      follow(&state, change)
    }
  }

  /// A policy is asked. The change goes with what it answers.
  func asked(_ request: UInt64, _ change: HubwireFFI.StateChange?) {
    state.withLock { state in
      goOn(&state)
      state.question = change.map { (request, $0) }
    }
  }

  /// That policy wants another attempt. Too late, it changes nothing.
  func answered(_ request: UInt64) {
    state.withLock { state in
      if state.question?.request == request {
        goOn(&state)
      }
    }
  }

  /// There will be another attempt, whether the policy has answered or not.
  func retryScheduled() {
    state.withLock { goOn(&$0) }
  }

  func started(_ ticket: UInt64, _ fault: HubwireFFI.Fault?) {
    let end = state.withLock { $0.starts.removeValue(forKey: ticket) }
    end?.resolve(fault.map { .failure(HubError($0)) } ?? .success(()))
  }

  func stopped(_ ticket: UInt64) {
    let end = state.withLock { state in
      let end = state.stops.removeValue(forKey: ticket)
      state.question = nil
      if state.stops.isEmpty, state.state == .disconnecting {
        change(&state, to: .disconnected, .requested)
      }
      return end
    }
    end?.resolve(.success(()))
  }

  /// Nothing happens any more.
  func end(_ error: HubError) {
    let (starts, stops) = state.withLock { state in
      defer { (state.starts, state.stops, state.question, state.end) = ([:], [:], nil, state.end ?? error) }
      change(&state, to: .disconnected, .failed(error))
      return (Array(state.starts.values), Array(state.stops.values))
    }
    starts.forEach { $0.resolve(.failure(error)) }
    stops.forEach { $0.resolve(.success(())) }
  }

  /// Nobody hears of changes any more.
  func finish() {
    changes.finish()
    states.finish()
  }

  private func goOn(_ state: inout State) {
    if let (_, change) = state.question {
      state.question = nil
      follow(&state, change)
    }
  }

  private func follow(_ state: inout State, _ change: HubwireFFI.StateChange) {
    let new = ConnectionState(change.new)
    log(.info, "\(ConnectionState(change.old).rawValue) -> \(new.rawValue)")
    if state.end == nil, state.state != .disconnecting || new == .disconnected {
      self.change(&state, to: new, StateChange.Cause(change.cause))
    }
  }

  /// Under the lock, so that nobody hears of changes in another order.
  private func change(_ state: inout State, to new: ConnectionState, _ cause: StateChange.Cause) {
    let old = state.state
    guard old != new else { return }
    state.state = new
    if case .established(let id, _) = cause {
      state.connectionID = id
    } else if new != .disconnecting {
      state.connectionID = nil
    }
    changes.send(StateChange(old: old, new: new, cause: cause))
    states.send(new)
  }
}
