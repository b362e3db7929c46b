import Foundation

/// Ends a handler. It stays registered until then, or until the connection is closed; letting go of this changes nothing.
public struct Registration: Sendable {
  let handlers: Handlers
  let target: String
  let id: UInt64

  /// The handler is not called for later messages.
  public func cancel() {
    handlers.remove(target, id)
  }
}

extension HubConnection {
  /// Runs a handler when the server calls that method; the case of names does not matter.
  ///
  /// ```swift
  /// hub.on("ReceiveMessage") { (message: ChatMessage) in … }
  /// ```
  ///
  /// Handlers of one connection run one at a time, in the order of the messages: the next message waits for the end of this one's
  /// handlers. Results of calls, items and states do not wait, so a handler may call the connection and wait. Several handlers
  /// of a method all run, in the order in which they were registered. One that throws refuses the message where the server wants
  /// to know, is reported as ``ConnectionEvent/handlerFailed(target:_:)``, and changes nothing else.
  ///
  /// A handler is held by the connection: capture the connection itself weakly.
  @discardableResult
  public func on<each Argument: Decodable & Sendable>(
    _ target: String, _ handler: @escaping @Sendable (repeat each Argument) async throws -> Void
  ) -> Registration {
    register(target) { codec, message in
      let arguments = ArgumentReader(message, codec)
      let values = try (repeat arguments.next((each Argument).self))
      try await handler(repeat each values)
      return nil
    }
  }

  /// As the one above, for a handler with a result: the answer where the server waits for one. Only one handler of a
  /// method may have a result.
  @discardableResult
  public func on<each Argument: Decodable & Sendable, Value: Encodable & Sendable>(
    _ target: String, _ handler: @escaping @Sendable (repeat each Argument) async throws -> Value
  ) -> Registration {
    register(target) { codec, message in
      let arguments = ArgumentReader(message, codec)
      let values = try (repeat arguments.next((each Argument).self))
      let value = try await handler(repeat each values)
      guard message.reply != nil else { return nil }
      do {
        return try codec.encode(value)
      } catch {
        throw HubError.misuse("The result of the handler of '\(message.target)' cannot be encoded: \(encodingText(error))")
      }
    }
  }

  /// Ends all handlers of that method.
  public func off(_ target: String) {
    handlers.removeAll(target)
  }

  /// The messages of that method, from now on, as a sequence of their first arguments.
  ///
  /// A message counts as handled when it waits for its reader. At most `limit` wait; one more is refused with the kind Overflow.
  /// Ends when the connection is closed, with ``off(_:)``, when the task of a loop is cancelled, and when it and its
  /// iterators are let go of.
  public func messages<Value: Decodable & Sendable>(
    _ target: String, as type: Value.Type = Value.self, limit: Int = 10_000
  ) -> HubMessages<Value> {
    let (stream, continuation) = AsyncStream.makeStream(of: Value.self, bufferingPolicy: .bufferingOldest(max(1, limit)))
    let registration = register(target, removed: { continuation.finish() }) { codec, message in
      let value = try message.argument(0, type, codec)
      switch continuation.yield(value) {
      case .enqueued: return nil
      case .terminated: throw HubError.cancelled("Nobody reads the messages of '\(message.target)' any more.")
      default: throw HubError.overflow("More than \(limit) messages of '\(message.target)' wait for a reader.")
      }
    }
    // Those that come later are for other handlers, or are refused.
    continuation.onTermination = { _ in registration.cancel() }
    return HubMessages(stream: stream, source: MessageSource(registration))
  }

  func register(
    _ target: String, removed: (@Sendable () -> Void)? = nil, _ handler: @escaping Handlers.Handler
  ) -> Registration {
    Registration(handlers: handlers, target: target, id: handlers.add(target, handler, removed: removed))
  }
}

/// Decodes the arguments of a message, one after the other.
private final class ArgumentReader {
  private let message: Handlers.Message
  private let codec: Codec
  private var index = 0

  init(_ message: Handlers.Message, _ codec: Codec) {
    (self.message, self.codec) = (message, codec)
  }

  func next<Value: Decodable>(_ type: Value.Type) throws -> Value {
    defer { index += 1 }
    return try message.argument(index, type, codec)
  }
}
