/// Hands values to any number of `AsyncStream`s. Each keeps the newest 1,000 for a reader that is behind.
final class Broadcast<Value: Sendable>: Sendable {
  private struct State {
    var readers: [UInt64: AsyncStream<Value>.Continuation] = [:]
    var last: UInt64 = 0
    var isOver = false
  }

  private let state = Locked(State())

  /// A stream of what comes from now on, with a value in front of it.
  func stream(first: Value? = nil) -> AsyncStream<Value> {
    let (stream, continuation) = AsyncStream.makeStream(of: Value.self, bufferingPolicy: .bufferingNewest(1_000))
    let id = state.withLock { state -> UInt64? in
      if let first {
        continuation.yield(first)
      }
      guard !state.isOver else { return nil }
      state.last += 1
      state.readers[state.last] = continuation
      return state.last
    }
    guard let id else {
      continuation.finish()
      return stream
    }
    continuation.onTermination = { [weak self] _ in
      // Out of the lock: this may be what lets go of a reader.
      _ = self?.state.withLock { $0.readers.removeValue(forKey: id) }
    }
    return stream
  }

  func send(_ value: Value) {
    let readers = state.withLock { Array($0.readers.values) }
    for reader in readers {
      reader.yield(value)
    }
  }

  func finish() {
    let readers = state.withLock { state -> [AsyncStream<Value>.Continuation] in
      state.isOver = true
      defer { state.readers = [:] }
      return Array(state.readers.values)
    }
    for reader in readers {
      reader.finish()
    }
  }
}
