import Foundation
internal import HubwireFFI

/// What the application does with messages of the server. They are handled one at a time and in order, and never on the reading
/// thread: the bound of what waits is the core's, which reads no more while 8 MiB are not released.
final class Handlers: Sendable {
  /// Decodes the arguments and runs. Gives the result, encoded, where there is one.
  typealias Handler = @Sendable (Codec, Message) async throws -> Data?

  struct Message: Sendable {
    let target: String
    let arguments: [Data]
    var reply: UInt64?
    var delivery: UInt64?
    var cost: UInt64 = 0
  }

  private struct Entry: Sendable {
    let id: UInt64
    let run: Handler
    /// Told when it is removed by somebody else than its registration.
    let removed: (@Sendable () -> Void)?
  }

  private struct State {
    var handlers: [String: [Entry]] = [:]
    var lastID: UInt64 = 0
    var waiting = Queue<Message>()
    var isDraining = false
    /// While it is more than zero, a stop is under way and nothing is handled.
    var stops = 0
    /// Counts stops, so that a message notices the one that was asked for between two of its handlers.
    var epoch: UInt64 = 0
    /// Handled and not released yet.
    var unreleased: UInt64 = 0
  }

  /// So much is released at once.
  private static let portion: UInt64 = 64 << 10

  private let state = Locked(State())
  private let link: Link
  private let codec: Codec
  private let log: Log
  private let events: Broadcast<ConnectionEvent>
  private let runner = HandlerRunner()

  init(link: Link, codec: Codec, log: Log, events: Broadcast<ConnectionEvent>) {
    (self.link, self.codec, self.log, self.events) = (link, codec, log, events)
  }

  /// Whether anything is registered.
  var isEmpty: Bool { state.withLock { $0.handlers.isEmpty } }

  func add(_ target: String, _ handler: @escaping Handler, removed: (@Sendable () -> Void)? = nil) -> UInt64 {
    state.withLock { state in
      state.lastID += 1
      let entry = Entry(id: state.lastID, run: handler, removed: removed)
      state.handlers[target.lowercased(), default: []].append(entry)
      return state.lastID
    }
  }

  func remove(_ target: String, _ id: UInt64) {
    let target = target.lowercased()
    // Let go of out of the lock: what it has captured may do anything.
    let removed = state.withLock { state -> Entry? in
      guard let index = state.handlers[target]?.firstIndex(where: { $0.id == id }) else { return nil }
      let handler = state.handlers[target]?.remove(at: index)
      if state.handlers[target]?.isEmpty == true {
        state.handlers[target] = nil
      }
      return handler
    }
    withExtendedLifetime(removed) {}
  }

  /// All of that target, or all.
  func removeAll(_ target: String?) {
    let removed = state.withLock { state -> [Entry] in
      if let target {
        return state.handlers.removeValue(forKey: target.lowercased()) ?? []
      }
      defer { state.handlers = [:] }
      return state.handlers.values.flatMap { $0 }
    }
    removed.forEach { $0.removed?() }
  }

  /// A message came. Returns how much may be released.
  func take(_ message: Message) -> UInt64 {
    let (isDropped, starts) = state.withLock { state in
      guard state.stops == 0 else { return (true, false) }
      state.waiting.append(message)
      defer { state.isDraining = true }
      return (false, !state.isDraining)
    }
    if starts {
      runner.run { [self] in await drain() }
    }
    return isDropped ? message.cost : 0
  }

  /// A stop was asked for: what came before is not handled any more.
  func stopping() {
    let cost = state.withLock { state in
      state.stops += 1
      state.epoch += 1
      return state.waiting.removeAll().reduce(0) { $0 + $1.cost }
    }
    release(cost)
  }

  /// That stop is done.
  func stopped() {
    state.withLock { $0.stops = max(0, $0.stops - 1) }
  }

  private func drain() async {
    while let (message, epoch) = next() {
      await handle(message, epoch)
      let cost = state.withLock { state -> UInt64 in
        state.unreleased += message.cost
        guard state.waiting.isEmpty || state.unreleased >= Self.portion else { return 0 }
        defer { state.unreleased = 0 }
        return state.unreleased
      }
      release(cost)
    }
  }

  private func next() -> (Message, UInt64)? {
    state.withLock { state in
      guard let message = state.waiting.popFirst() else {
        state.isDraining = false
        return nil
      }
      return (message, state.epoch)
    }
  }

  private func handle(_ message: Message, _ epoch: UInt64) async {
    let handlers = state.withLock { $0.handlers[message.target.lowercased()] } ?? []
    var failure: (any Error)?
    var results: [Data] = []
    for handler in handlers {
      guard state.withLock({ $0.epoch == epoch }) else { return }
      do {
        if let result = try await handler.run(codec, message) {
          results.append(result)
        }
      } catch {
        failure = failure ?? error
        failed(message.target, error)
      }
    }
    var reason = failure.map(Hubwire.reason(of:))
    if handlers.isEmpty {
      reason = "No handler is registered for '\(message.target)'."
      // Most applications want objects and not their changes.
      if !message.target.hasSuffix("Delta") {
        log(.warning, "No handler is registered for '\(message.target)'.")
      }
    }
    if let reply = message.reply {
      answer(message.target, reply, results, failure)
    }
    if let delivery = message.delivery {
      link.core?.handled(delivery: delivery, reason: reason)
    }
  }

  private func answer(_ target: String, _ reply: UInt64, _ results: [Data], _ failure: (any Error)?) {
    guard let core = link.core else { return }
    if results.count > 1 {
      log(.error, "More than one handler of '\(target)' has a result.")
      core.replyError(reply: reply, error: "Client provided multiple results.")
    } else if let result = results.first {
      do {
        try core.reply(reply: reply, value: result)
      } catch {
        let error = HubError(failure: error)
        failed(target, error)
        core.replyError(reply: reply, error: error.message)
      }
    } else if let failure {
      core.replyError(reply: reply, error: reason(of: failure))
    } else {
      core.replyNone(reply: reply)
    }
  }

  func failed(_ target: String, _ error: any Error) {
    log(.error, "A handler of '\(target)' failed: \(reason(of: error))")
    events.send(.handlerFailed(target: target, error))
  }

  private func release(_ cost: UInt64) {
    if cost > 0 {
      link.core?.release(cost: cost)
    }
  }
}

extension Handlers.Message {
  /// The argument with that index, of that type. One that is missing counts as null.
  func argument<Value: Decodable>(_ index: Int, _ type: Value.Type, _ codec: Codec) throws -> Value {
    guard index < arguments.count else {
      if let null = try? codec.decode(type, from: Data("null".utf8)) {
        return null
      }
      throw HubError.protocolViolation("Argument \(index + 1) of '\(target)' is missing.")
    }
    do {
      return try codec.decode(type, from: arguments[index])
    } catch {
      throw HubError.protocolViolation("Argument \(index + 1) of '\(target)' is of another type: \(decodingText(error))")
    }
  }
}
