import Foundation
internal import HubwireFFI

/// The items of one stream between the reading thread and the one who reads them.
final class StreamBuffer: Sendable {
  private enum End {
    case finished
    case failed(any Error)
    case abandoned
  }

  private struct State {
    var items = Queue<(Data, UInt64)>()
    var end: End?
    var waiter: CheckedContinuation<Data?, any Error>?
    /// Taken and not released yet, where the reader holds the server back.
    var unreleased: UInt64 = 0
  }

  /// So much is released at once.
  private static let portion: UInt64 = 64 << 10

  private let limit: Int?
  private let link: Link
  private let cancel: @Sendable () -> Void
  private let state = Locked(State())

  init(_ buffering: StreamOptions.Buffering, link: Link, cancel: @escaping @Sendable () -> Void) {
    switch buffering {
    case .bounded(let limit): self.limit = max(1, limit)
    case .holdBack: limit = nil
    }
    (self.link, self.cancel) = (link, cancel)
  }

  /// An item came. Returns how much of its cost may be released.
  func push(_ item: Data, _ cost: UInt64) -> UInt64 {
    enum Fate {
      case handed(CheckedContinuation<Data?, any Error>)
      case kept, dropped, tooMany
    }
    let fate = state.withLock { state -> Fate in
      guard state.end == nil else { return .dropped }
      if let waiter = state.waiter {
        state.waiter = nil
        return .handed(waiter)
      }
      if let limit, state.items.count >= limit {
        state.end = .failed(HubError.overflow("More than \(limit) items of the stream wait for a reader."))
        return .tooMany
      }
      state.items.append((item, cost))
      return .kept
    }
    switch fate {
    case .handed(let waiter):
      waiter.resume(returning: item)
      return cost
    case .kept:
      return limit == nil ? 0 : cost
    case .tooMany:
      cancel()
      return cost
    case .dropped:
      return cost
    }
  }

  /// The stream is over.
  func end(_ error: (any Error)?) {
    let waiter = state.withLock { state -> CheckedContinuation<Data?, any Error>? in
      guard state.end == nil else { return nil }
      defer { state.waiter = nil }
      if state.waiter == nil {
        state.end = error.map(End.failed) ?? .finished
      } else {
        // Told once: whoever waits hears it now.
        state.end = .finished
      }
      return state.waiter
    }
    if let error {
      waiter?.resume(throwing: error)
    } else {
      waiter?.resume(returning: nil)
    }
  }

  /// Nobody reads any more. Who asks once more hears that it was cancelled, or that it is over.
  func abandon(cancelled: Bool) {
    let (waiter, cost) = state.withLock { state in
      let rest = state.items.removeAll()
      defer {
        state.waiter = nil
        state.unreleased = 0
        state.end = cancelled ? .abandoned : .finished
      }
      return (state.waiter, limit == nil ? state.unreleased + rest.reduce(0) { $0 + $1.1 } : 0)
    }
    release(cost)
    waiter?.resume(throwing: CancellationError())
  }

  func next() async throws -> Data? {
    try await withCheckedThrowingContinuation { continuation in
      enum Answer {
        case item(Data, release: UInt64)
        case end(End)
        case wait
      }
      let answer = state.withLock { state -> Answer in
        if let (item, cost) = state.items.popFirst() {
          guard limit == nil else { return .item(item, release: 0) }
          state.unreleased += cost
          guard state.items.isEmpty || state.unreleased >= Self.portion else { return .item(item, release: 0) }
          defer { state.unreleased = 0 }
          return .item(item, release: state.unreleased)
        }
        if let end = state.end {
          if case .failed = end {
            state.end = .finished
          }
          return .end(end)
        }
        if state.waiter != nil {
          return .end(.failed(HubError.misuse("Two tasks read the same iterator of a stream.")))
        }
        state.waiter = continuation
        return .wait
      }
      switch answer {
      case .item(let item, let cost):
        release(cost)
        continuation.resume(returning: item)
      case .end(.finished):
        continuation.resume(returning: nil)
      case .end(.failed(let error)):
        continuation.resume(throwing: error)
      case .end(.abandoned):
        // The loop that was left on its own account does not ask again; a task that was cancelled does.
        continuation.resume(throwing: CancellationError())
      case .wait:
        break
      }
    }
  }

  private func release(_ cost: UInt64) {
    if cost > 0 {
      link.core?.release(cost: cost)
    }
  }
}
