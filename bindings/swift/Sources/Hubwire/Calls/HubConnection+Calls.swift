import Foundation

extension HubConnection {
  /// Calls a hub method and waits for its result.
  ///
  /// ```swift
  /// let sum = try await hub.invoke("Add", 1, 2) as Int
  /// ```
  ///
  /// Without a connection the call waits for one. Cancelling the task takes the call back: it is not sent if it still waits,
  /// else the server is told. Throws `HubError`, and `CancellationError` when the task was cancelled.
  public func invoke<each Argument: Encodable, Value: Decodable & Sendable>(
    _ target: String, _ arguments: repeat each Argument, options: CallOptions = CallOptions(),
    returning type: Value.Type = Value.self
  ) async throws -> Value {
    let arguments = try Arguments(codec, target, repeat each arguments)
    let value = try await perform(.invoke, target, arguments, options)
    return try codec.result(of: target, type, value)
  }

  /// Calls a hub method and waits for its end, whatever its result.
  public func invoke<each Argument: Encodable>(
    _ target: String, _ arguments: repeat each Argument, options: CallOptions = CallOptions()
  ) async throws {
    let arguments = try Arguments(codec, target, repeat each arguments)
    _ = try await perform(.invoke, target, arguments, options)
  }

  /// Calls a hub method without asking for an answer. Returns when the call was sent, whatever becomes of it.
  public func send<each Argument: Encodable>(
    _ target: String, _ arguments: repeat each Argument, options: CallOptions = CallOptions()
  ) async throws {
    let arguments = try Arguments(codec, target, repeat each arguments)
    _ = try await perform(.send, target, arguments, options)
  }

  /// As ``invoke(_:_:options:returning:)``, with a handle on the call. The call is made when this returns; what is wrong with it
  /// is the end of the call.
  public func call<each Argument: Encodable, Value: Decodable & Sendable>(
    _ target: String, _ arguments: repeat each Argument, options: CallOptions = CallOptions(),
    returning type: Value.Type = Value.self
  ) -> HubCall<Value> {
    let codec = self.codec
    let arguments = Result { try Arguments(codec, target, repeat each arguments) }
    return HubCall(handle: begin(.invoke, target, arguments, options)) {
      try codec.result(of: target, type, $0)
    }
  }

  /// As ``send(_:_:options:)``, with a handle on the call.
  public func sendCall<each Argument: Encodable>(
    _ target: String, _ arguments: repeat each Argument, options: CallOptions = CallOptions()
  ) -> HubCall<Void> {
    let codec = self.codec
    let arguments = Result { try Arguments(codec, target, repeat each arguments) }
    return HubCall(handle: begin(.send, target, arguments, options)) { _ in }
  }

  /// Calls a hub method that streams. The call is made when the first item is asked for, once for each loop; leaving the loop
  /// and cancelling its task cancel it.
  ///
  /// ```swift
  /// for try await number in hub.stream("Count", 10, 0, of: Int.self) { … }
  /// ```
  public func stream<each Argument: Encodable, Item: Decodable & Sendable>(
    _ target: String, _ arguments: repeat each Argument, options: StreamOptions = StreamOptions(),
    of type: Item.Type = Item.self
  ) -> HubStream<Item> {
    let codec = self.codec
    let arguments = Result { try Arguments(codec, target, repeat each arguments) }
    return HubStream(hub: self, target: target, arguments: arguments, options: options)
  }

  enum Kind {
    case send, invoke
  }

  private func perform(_ kind: Kind, _ target: String, _ arguments: Arguments, _ options: CallOptions) async throws
    -> Data?
  {
    try Task.checkCancellation()
    let handle = CallHandle(calls)
    return try await withTaskCancellationHandler {
      try handle.make(kind == .send ? .send : .invoke, target, arguments, options)
      settle()
      return try await handle.result.get()
    } onCancel: {
      // In this order: the end of the call must not be what the task hears.
      handle.result.resolve(.failure(CancellationError()))
      handle.cancel()
    }
  }

  private func begin(
    _ kind: Kind, _ target: String, _ arguments: Result<Arguments, any Error>, _ options: CallOptions
  ) -> CallHandle {
    let handle = CallHandle(calls)
    do {
      try handle.make(kind == .send ? .send : .invoke, target, arguments.get(), options)
      settle()
      if state == .connected, !options.isDurable {
        // Unless it was refused by now.
        handle.accepted.resolve(.success(()))
      }
    } catch {
      handle.accepted.resolve(.failure(error))
      handle.result.resolve(.failure(error))
    }
    return handle
  }
}
