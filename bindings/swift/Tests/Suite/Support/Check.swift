import Foundation
import Hubwire

/// What a test found to be otherwise than it should be.
struct Failure: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) {
    self.description = description
  }
}

func check(_ condition: Bool, _ what: @autoclosure () -> String) throws {
  if !condition { throw Failure(what()) }
}

func equal<Value: Equatable>(_ found: Value, _ expected: Value, _ what: String = "value") throws {
  if found != expected { throw Failure("\(what): \(found) instead of \(expected)") }
}

/// What a body throws, which has to be a `HubError`.
func failure(_ what: String = "the call", _ body: () async throws -> Void) async throws -> HubError {
  do {
    try await body()
  } catch let error as HubError {
    return error
  } catch {
    throw Failure("\(what) failed with \(type(of: error)): \(error)")
  }
  throw Failure("\(what) did not fail")
}

/// The deadline of everything: long, as machines may be busy, and never waited for where all is well. What does not come is left
/// behind, cancelled: a test that hangs is a failure and not the end of the suite.
func within<Value: Sendable>(
  _ what: String, seconds: Double = 20, _ body: @escaping @Sendable () async throws -> Value
) async throws -> Value {
  let (first, results) = AsyncStream.makeStream(of: Result<Value, any Error>.self)
  let task = Task {
    do { results.yield(.success(try await body())) } catch { results.yield(.failure(error)) }
  }
  let clock = Task {
    try await Task.sleep(for: .seconds(seconds))
    results.yield(.failure(Failure("\(what) did not come within \(seconds) s")))
  }
  defer {
    task.cancel()
    clock.cancel()
  }
  for await result in first {
    return try result.get()
  }
  throw CancellationError()
}

/// What happened, for a test that waits for it.
final class Events<Value: Sendable>: @unchecked Sendable {
  private let lock = NSLock()
  private let stream: AsyncStream<Value>
  private let continuation: AsyncStream<Value>.Continuation
  private var iterator: AsyncStream<Value>.Iterator
  private var list: [Value] = []

  init() {
    (stream, continuation) = AsyncStream.makeStream(of: Value.self)
    iterator = stream.makeAsyncIterator()
  }

  func push(_ value: Value) {
    lock.withLock { list.append(value) }
    continuation.yield(value)
  }

  /// All that came so far.
  var all: [Value] { lock.withLock { list } }

  /// One reader at a time.
  func next(_ what: String, seconds: Double = 20) async throws -> Value {
    try await within(what, seconds: seconds) { [self] in
      guard let value = await iterator.next() else { throw Failure("\(what): nothing more comes") }
      return value
    }
  }

  func next(_ what: String, seconds: Double = 20, where condition: (Value) -> Bool) async throws -> Value {
    while true {
      let value = try await next(what, seconds: seconds)
      if condition(value) { return value }
    }
  }
}

/// The changes of the state of a connection, from when this is made.
func changes(of hub: HubConnection) -> Events<StateChange> {
  let events = Events<StateChange>()
  let stream = hub.stateChanges
  Task { for await change in stream { events.push(change) } }
  return events
}

func events(of hub: HubConnection) -> Events<ConnectionEvent> {
  let events = Events<ConnectionEvent>()
  let stream = hub.events
  Task { for await event in stream { events.push(event) } }
  return events
}

extension Events where Value == StateChange {
  @discardableResult
  func reach(_ state: ConnectionState, seconds: Double = 20) async throws -> StateChange {
    try await next("the state \(state)", seconds: seconds) { $0.new == state }
  }
}

/// Any JSON.
typealias JSON = JSONValue
