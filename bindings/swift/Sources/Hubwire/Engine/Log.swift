import Dispatch

/// Hands lines to the application, one after the other, on no thread that anything waits for.
struct Log: Sendable {
  private static let queue = DispatchQueue(label: "hubwire.log")
  private let sink: (@Sendable (HubLogLevel, String) -> Void)?

  init(_ sink: (@Sendable (HubLogLevel, String) -> Void)?) {
    self.sink = sink
  }

  func callAsFunction(_ level: HubLogLevel, _ text: @autoclosure () -> String) {
    guard let sink else { return }
    let text = text()
    Self.queue.async { sink(level, text) }
  }
}
