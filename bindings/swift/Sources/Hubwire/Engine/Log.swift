import Dispatch

/// Hands lines to the application, one after the other, on no thread that anything waits for. At most 1,000 wait for an
/// application that is slow; of the others it hears how many there were.
struct Log: Sendable {
  private struct State {
    var waiting = 0
    var leftOut = 0

    mutating func takeLeftOut() -> Int {
      defer { leftOut = 0 }
      return leftOut
    }
  }

  private static let limit = 1_000
  private static let queue = DispatchQueue(label: "hubwire.log")
  private let sink: (@Sendable (HubLogLevel, String) -> Void)?
  private let state = Locked(State())

  init(_ sink: (@Sendable (HubLogLevel, String) -> Void)?) {
    self.sink = sink
  }

  func callAsFunction(_ level: HubLogLevel, _ text: @autoclosure () -> String) {
    guard let sink else { return }
    let before = state.withLock { state -> Int? in
      guard state.waiting < Self.limit else {
        state.leftOut += 1
        return nil
      }
      state.waiting += 1
      return state.takeLeftOut()
    }
    guard let before else { return }
    let text = text()
    Self.queue.async { [state] in
      Self.tell(before, sink)
      sink(level, text)
      // Maybe no other line comes.
      let after = state.withLock { state -> Int in
        state.waiting -= 1
        return state.waiting == 0 ? state.takeLeftOut() : 0
      }
      Self.tell(after, sink)
    }
  }

  private static func tell(_ leftOut: Int, _ sink: @Sendable (HubLogLevel, String) -> Void) {
    if leftOut > 0 {
      sink(.warning, "\(leftOut) lines of the log were left out: it is slower than what happens.")
    }
  }
}
