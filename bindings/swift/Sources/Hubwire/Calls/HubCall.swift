import Foundation

/// A call that was made, for those who want more of it than its result.
///
/// The call goes on whether somebody looks at this or not.
public struct HubCall<Value: Sendable>: Sendable {
  let handle: CallHandle
  let decode: @Sendable (Data?) throws -> Value

  /// The result of the call. Throws what the call came to. Cancelling the task that waits ends the waiting and not the call.
  public var value: Value {
    get async throws {
      try decode(await handle.result.get())
    }
  }

  /// Returns when the call was handed over to the connection, or waits in the outbox; for a durable one, when it is safe in the
  /// store. Throws, as the call itself does, if it comes to nothing before.
  public func accepted() async throws {
    try await handle.accepted.get()
  }

  /// Takes the call back: it ends with the kind Cancelled. Does nothing once it has ended.
  public func cancel() {
    handle.cancel()
  }
}

/// A durable call that an earlier process left in the store.
public struct RestoredCall: Sendable {
  /// The method.
  public let target: String
  let handle: CallHandle
  let codec: Codec

  /// The result of the call. Throws what the call came to.
  public func value<Value: Decodable & Sendable>(as type: Value.Type = Value.self) async throws -> Value {
    try codec.result(of: target, type, await handle.result.get())
  }

  /// Waits for the end of the call. Throws what it came to.
  public func ended() async throws {
    _ = try await handle.result.get()
  }

  /// Takes the call back.
  public func cancel() {
    handle.cancel()
  }
}

extension CallHandle {
  /// One of the store.
  convenience init(_ calls: Calls, restored id: UInt64) {
    self.init(calls)
    let (result, accepted) = (self.result, self.accepted)
    accepted.resolve(.success(()))
    adopt(
      id,
      Calls.Pending(
        kind: .send,
        end: { outcome in result.resolve(outcome.mapError { $0 }) }))
  }
}

extension Codec {
  /// The result of a call; none counts as null.
  func result<Value: Decodable>(of target: String, _ type: Value.Type, _ json: Data?) throws -> Value {
    do {
      return try decode(type, from: json ?? Data("null".utf8))
    } catch {
      throw HubError.protocolViolation("The result of '\(target)' is of another type: \(decodingText(error))")
    }
  }
}
