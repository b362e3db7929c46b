/// The messages of one method, as they come. See ``HubConnection/messages(_:as:limit:)``.
public struct HubMessages<Element: Sendable>: AsyncSequence, Sendable {
  let stream: AsyncStream<Element>
  let source: MessageSource

  /// Reads them. Only one loop at a time gets them all.
  public struct Iterator: AsyncIteratorProtocol {
    var iterator: AsyncStream<Element>.Iterator
    let source: MessageSource

    public mutating func next() async -> Element? {
      await iterator.next()
    }
  }

  public func makeAsyncIterator() -> Iterator {
    Iterator(iterator: stream.makeAsyncIterator(), source: source)
  }
}

/// Ends the registration when nobody can read any more.
final class MessageSource: Sendable {
  private let registration: Registration

  init(_ registration: Registration) {
    self.registration = registration
  }

  deinit {
    registration.cancel()
  }
}
