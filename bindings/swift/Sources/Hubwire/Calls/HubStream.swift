import Foundation

/// The items that a hub method streams, as they come. See ``HubConnection/stream(_:_:options:of:)``.
public struct HubStream<Element: Decodable & Sendable>: AsyncSequence, Sendable {
  let hub: HubConnection
  let target: String
  let arguments: Result<Arguments, any Error>
  let options: StreamOptions

  /// Reads one stream. The call is cancelled when the last copy is gone.
  public struct Iterator: AsyncIteratorProtocol {
    let reader: StreamReader

    /// The next item, decoded here; nil at the end. Throws what the stream failed with, and `CancellationError` when the task was
    /// cancelled, which cancels the call.
    public mutating func next() async throws -> Element? {
      guard let json = try await reader.next() else { return nil }
      do {
        return try reader.codec.decode(Element.self, from: json)
      } catch {
        reader.abandon(cancelled: false)
        throw HubError.protocolViolation(
          "An item of '\(reader.target)' is of another type: \(decodingText(error))")
      }
    }
  }

  public func makeAsyncIterator() -> Iterator {
    Iterator(reader: StreamReader(hub, target, arguments, options))
  }
}

/// One call of a stream, held by those who read it.
final class StreamReader: Sendable {
  let codec: Codec
  let target: String
  private let handle: CallHandle
  private let buffer: StreamBuffer
  /// Taken when the first item is asked for.
  private let start: Locked<(@Sendable (StreamReader) throws -> Void)?>

  init(
    _ hub: HubConnection, _ target: String, _ arguments: Result<Arguments, any Error>, _ options: StreamOptions
  ) {
    codec = hub.codec
    self.target = target
    let handle = CallHandle(hub.calls)
    let buffer = StreamBuffer(options.buffering, link: hub.link) { handle.cancel() }
    (self.handle, self.buffer) = (handle, buffer)
    start = Locked { _ in
      try handle.make(
        .stream, target, arguments.get(), options.call,
        item: { buffer.push($0, $1) },
        ended: { buffer.end($0) })
      hub.settle()
    }
  }

  deinit {
    abandon()
  }

  func next() async throws -> Data? {
    try Task.checkCancellation()
    let start = start.withLock { start in
      defer { start = nil }
      return start
    }
    return try await withTaskCancellationHandler {
      do { try start?(self) } catch { buffer.end(error) }
      return try await buffer.next()
    } onCancel: {
      abandon()
    }
  }

  /// Nobody wants more.
  func abandon(cancelled: Bool = true) {
    // In this order: the end of the call must not be what the reader hears.
    buffer.abandon(cancelled: cancelled)
    handle.cancel()
  }
}
