/// A result that comes once, for any number of tasks that wait.
final class Promise<Value: Sendable>: Sendable {
  private enum State {
    case pending([UInt64: CheckedContinuation<Value, any Error>])
    case done(Result<Value, any Error>)
  }

  private let state = Locked<(State, lastWaiter: UInt64)>((.pending([:]), 0))

  /// Only the first one counts.
  func resolve(_ result: Result<Value, any Error>) {
    let waiters = state.withLock { state -> [CheckedContinuation<Value, any Error>] in
      guard case .pending(let waiters) = state.0 else { return [] }
      state.0 = .done(result)
      return Array(waiters.values)
    }
    for waiter in waiters {
      waiter.resume(with: result)
    }
  }

  /// Waits for it, whether the task that waits is cancelled or not.
  func outcome() async -> Result<Value, any Error> {
    do {
      let value = try await withCheckedThrowingContinuation { continuation in
        let result = state.withLock { state -> Result<Value, any Error>? in
          switch state.0 {
          case .done(let result):
            return result
          case .pending(var waiters):
            state.lastWaiter += 1
            waiters[state.lastWaiter] = continuation
            state.0 = .pending(waiters)
            return nil
          }
        }
        if let result {
          continuation.resume(with: result)
        }
      }
      return .success(value)
    } catch {
      return .failure(error)
    }
  }

  /// Waits for it. Throws `CancellationError` when the task that waits is cancelled, and what it came to otherwise.
  func get() async throws -> Value {
    let id = state.withLock { state -> UInt64 in
      state.lastWaiter += 1
      return state.lastWaiter
    }
    return try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        let result = state.withLock { state -> Result<Value, any Error>? in
          switch state.0 {
          case .done(let result):
            return result
          case .pending(var waiters):
            // The handler below may have run by now; it found nobody.
            if Task.isCancelled {
              return .failure(CancellationError())
            }
            waiters[id] = continuation
            state.0 = .pending(waiters)
            return nil
          }
        }
        if let result {
          continuation.resume(with: result)
        }
      }
    } onCancel: {
      let waiter = state.withLock { state -> CheckedContinuation<Value, any Error>? in
        guard case .pending(var waiters) = state.0 else { return nil }
        let waiter = waiters.removeValue(forKey: id)
        state.0 = .pending(waiters)
        return waiter
      }
      waiter?.resume(throwing: CancellationError())
    }
  }
}
