import Foundation
internal import HubwireFFI

/// One call: made once, and taken back at most once, even before it was made.
final class CallHandle: Sendable {
  private enum State {
    case idle
    case made(UInt64)
    case cancelled
  }

  private let calls: Calls
  private let state = Locked(State.idle)
  let result = Promise<Data?>()
  let accepted = Promise<Void>()

  init(_ calls: Calls) {
    self.calls = calls
  }

  /// Makes it, unless it was taken back. Throws why it cannot be made.
  func make(
    _ kind: HubwireFFI.CallKind, _ target: String, _ arguments: Arguments, _ options: CallOptions,
    item: (@Sendable (Data, UInt64) -> UInt64)? = nil, ended: (@Sendable (HubError?) -> Void)? = nil
  ) throws {
    let (result, accepted) = (self.result, self.accepted)
    let pending = Calls.Pending(
      kind: kind,
      end: { outcome in
        switch outcome {
        case .success(let value):
          accepted.resolve(.success(()))
          result.resolve(.success(value))
          ended?(nil)
        case .failure(let error):
          accepted.resolve(.failure(error))
          result.resolve(.failure(error))
          ended?(error)
        }
      },
      item: item,
      queued: { accepted.resolve(.success(())) })
    try state.withLock { state in
      guard case .idle = state else { throw CancellationError() }
      state = .made(try calls.make(target, arguments, options.settings, pending))
    }
  }

  /// Becomes one that the store brought back.
  func adopt(_ id: UInt64, _ pending: Calls.Pending) {
    state.withLock { $0 = .made(id) }
    calls.restore(id, pending)
  }

  /// Takes it back. Its end comes as of any call.
  func cancel() {
    let id = state.withLock { state -> UInt64? in
      switch state {
      case .idle:
        state = .cancelled
        return nil
      case .made(let id):
        return id
      case .cancelled:
        return nil
      }
    }
    if let id {
      calls.cancel(id)
    }
  }
}
