import Foundation
internal import HubwireFFI

/// A connection to a SignalR hub.
///
/// ```swift
/// let hub = try HubConnection(url: URL(string: "https://example.com/hubs/chat")!) { options in
///   options.accessToken = { try await session.token() }
/// }
/// hub.on("ReceiveMessage") { (message: ChatMessage) in print(message.content) }
/// try await hub.start()
/// try await hub.invoke("JoinConversation", "general")
/// ```
///
/// Calls made without a connection wait for one, and a connection that is lost is made again, the first one included. All methods
/// may be called from any task and thread.
///
/// While it is connected, or something is asked of it, the connection holds itself. Once it is stopped, the last one who lets go
/// of it frees it, and the thread that all connections share ends with the last of them. ``close()`` ends it at once.
public final class HubConnection: Sendable {
  let configuration: HubConfiguration
  let codec: Codec
  let link: Link
  let calls: Calls
  let handlers: Handlers
  let log: Log
  private let lifecycle: Lifecycle
  private let eventBroadcast: Broadcast<ConnectionEvent>
  private let number = Locked<UInt64>(0)
  private let last = Locked(Last())
  private let restored = Promise<[RestoredCall]>()
  /// Itself, while somebody would miss it.
  private let holder = Locked<HubConnection?>(nil)
  private let endHints = Locked<[@Sendable () -> Void]>([])

  /// What was heard last.
  private struct Last {
    var outbox = OutboxProgress(depth: 0, bytes: 0, oldestAge: nil)
    var quality = Quality(grade: .lost, roundTrip: nil, jitter: .zero)
  }

  /// Makes a connection; nothing is connected yet. Throws `HubError.misuse` when an option is not possible, with its name.
  public convenience init(url: URL, configure: (inout HubConfiguration) throws -> Void = { _ in }) throws {
    var configuration = HubConfiguration(url: url)
    try configure(&configuration)
    try self.init(configuration)
  }

  /// Makes a connection; nothing is connected yet. Throws `HubError.misuse` when an option is not possible, with its name.
  public init(_ configuration: HubConfiguration) throws {
    self.configuration = configuration
    codec = Codec(configuration.json, encoding: configuration.encoding)
    link = Link()
    log = Log(configuration.log)
    lifecycle = Lifecycle(log: log)
    eventBroadcast = Broadcast()
    calls = Calls(link: link, codec: codec)
    handlers = Handlers(link: link, codec: codec, log: log, events: eventBroadcast)
    let settings = try configuration.settings()
    if configuration.outbox.store == nil {
      restored.resolve(.success([]))
    }
    do {
      try Registry.shared.connect(self, settings: settings)
    } catch {
      throw HubError(failure: error)
    }
    let ends = configuration.hints.map { hints in
      hints.begin { [link] hint in link.core?.hint(hint: HubwireFFI.Hint(hint)) }
    }
    endHints.withLock { $0 = ends }
  }

  deinit {
    close()
  }

  /// The core has it under that number.
  func adopt(_ core: HubwireFFI.Connection) {
    number.withLock { $0 = core.number() }
    link.open(core)
  }

  // MARK: State

  /// The state of the connection.
  public var state: ConnectionState { lifecycle.current }

  /// The id that the server knows the connection by; nil while it is not connected, or without negotiation.
  public var connectionID: String? { lifecycle.connectionID }

  /// The state, and then every change of it, until the connection is freed or closed. A reader that is far behind misses the
  /// oldest.
  public var states: AsyncStream<ConnectionState> { lifecycle.stateStream() }

  /// Every change of the state from now on, with what made it.
  public var stateChanges: AsyncStream<StateChange> { lifecycle.changeStream() }

  /// What happens besides messages and changes of the state, from now on.
  public var events: AsyncStream<ConnectionEvent> { eventBroadcast.stream() }

  /// What waits for a connection. Changes come as ``ConnectionEvent/outboxChanged(_:)``.
  public var outbox: OutboxProgress { last.withLock { $0.outbox } }

  /// How good the connection is. Changes come as ``ConnectionEvent/qualityChanged(_:)``.
  public var quality: Quality { last.withLock { $0.quality } }

  /// How many calls have not ended.
  public var pendingCalls: Int { calls.count }

  /// Whether any handler is registered.
  public var isListening: Bool { !handlers.isEmpty }

  // MARK: Start and stop

  /// Connects; returns when that is done. By default it tries for ever: cancelling the task stops the attempt.
  ///
  /// Throws `HubError.misuse` if the connection is not disconnected, what the attempt failed with when it is not tried again,
  /// and `CancellationError` when the task was cancelled.
  public func start() async throws {
    try Task.checkCancellation()
    let (ticket, end) = try lifecycle.start(link.command())
    settle()
    try await withTaskCancellationHandler {
      try await end.get()
    } onCancel: {
      if lifecycle.isStarting(ticket) {
        // In this order: the end of the attempt must not be what the task hears.
        end.resolve(.failure(CancellationError()))
        _ = beginStop()
      }
    }
  }

  /// Disconnects; returns when that is done. Calls that were sent and have not ended fail. From now on no handler starts for
  /// messages that came before. Not cancelled with its task.
  public func stop() async {
    if let end = beginStop() {
      _ = await end.outcome()
    }
  }

  /// Lets go of everything, at once: calls that have not ended fail with the kind Cancelled, handlers and sequences end. What was
  /// sent before still leaves. The connection cannot be used afterwards.
  public func close() {
    guard let core = link.close() else { return }
    Registry.shared.forget(number.withLock { $0 })
    let ends = endHints.withLock { ends in
      defer { ends = [] }
      return ends
    }
    ends.forEach { $0() }
    ended("The connection was closed.")
    handlers.stopping()
    handlers.removeAll(nil)
    lifecycle.finish()
    eventBroadcast.finish()
    withExtendedLifetime(core) {}
    letGo(holder.withLock { holder in
      defer { holder = nil }
      return holder
    })
  }

  private func beginStop() -> Promise<Void>? {
    guard let core = link.core else { return nil }
    handlers.stopping()
    let end = lifecycle.stop(core)
    settle()
    return end
  }

  // MARK: What the core knows

  /// Counters of this connection object. Throws `HubError.cancelled` when the connection has ended.
  public func metrics() async throws -> Metrics {
    do { return Metrics(try await link.command().metrics()) } catch { throw HubError(failure: error) }
  }

  /// Where the connection stands in streams with history, for ``HubConfiguration/positions`` of a later one.
  /// Throws `HubError.cancelled` when the connection has ended.
  public func positions() async throws -> [String] {
    do { return try await link.command().positions() } catch { throw HubError(failure: error) }
  }

  /// The durable calls of earlier processes; empty without a store. Returns when the store was read. Throws when the connection
  /// ended before.
  public func restoredCalls() async throws -> [RestoredCall] {
    try await restored.get()
  }

  /// Acknowledges a message of a target with manual acknowledgement.
  public func acknowledge(_ messageID: String) {
    link.core?.acknowledge(messageId: messageID)
  }

  /// Refuses a message of a target with manual acknowledgement.
  public func nack(_ messageID: String, reason: String) {
    link.core?.nack(messageId: messageID, reason: reason)
  }

  /// Tells what the platform knows. See also ``HubConfiguration/hints``.
  public func hint(_ hint: Hint) {
    link.core?.hint(hint: HubwireFFI.Hint(hint))
  }

  /// Changes the address or a time for later connections. Throws `HubError.misuse` when a time is none.
  public func reconfigure(url: URL? = nil, keepAliveInterval: Duration? = nil, serverTimeout: Duration? = nil) throws {
    do {
      try link.command().configure(
        url: url?.absoluteString, keepAliveInterval: keepAliveInterval?.milliseconds,
        serverTimeout: serverTimeout?.milliseconds)
    } catch {
      throw HubError(failure: error)
    }
  }

  // MARK: What happens

  /// Holds itself while somebody would miss it, and lets go of itself otherwise.
  func settle() {
    let before = holder.withLock { holder -> HubConnection? in
      let isNeeded = link.core != nil && (lifecycle.isBusy || calls.count > 0)
      let before = holder
      holder = isNeeded ? self : nil
      return isNeeded ? nil : before
    }
    letGo(before)
  }

  /// What happened, in order. On the reading thread: nothing here waits, or is the application's.
  func follow(_ notices: [HubwireFFI.Notice]) {
    var released: UInt64 = 0
    for notice in notices {
      switch notice {
      case .invocation(let target, let arguments, let reply, let delivery, let cost):
        released += handlers.take(
          Handlers.Message(
            target: target, arguments: arguments, reply: reply, delivery: delivery, cost: UInt64(cost)))
      case .unreadable(let target, let reason):
        handlers.failed(target, HubError.protocolViolation(reason))
      case .invocationCancelled:
        // Handlers are not interrupted; the core drops answers that come too late.
        break
      case .item(let call, let value, let cost):
        released += calls.item(call, value, UInt64(cost))
      case .completed(let call, let value):
        calls.ended(call, .success(value))
      case .failed(let call, let fault):
        calls.ended(call, .failure(HubError(fault)))
      case .queued(let call):
        calls.queued(call)
      case .restored(let list):
        restored.resolve(
          .success(
            list.map {
              RestoredCall(target: $0.target, handle: CallHandle(calls, restored: $0.call), codec: codec)
            }))
      case .uploadStarted(let upload):
        calls.uploadStarted(upload)
      case .uploadStopped(let upload):
        calls.uploadStopped(upload)
      case .room:
        calls.room()
      case .state(let change):
        lifecycle.follow(change)
      case .started(let ticket, let fault):
        lifecycle.started(ticket, fault)
      case .stopped(let ticket):
        handlers.stopped()
        lifecycle.stopped(ticket)
      case .event(let event):
        follow(ConnectionEvent(event))
      case .retry(let request, let count, let elapsed, let fault, let change):
        let context = RetryContext(
          previousRetryCount: Int(clamping: count), elapsed: Duration(milliseconds: elapsed), reason: HubError(fault))
        askPolicy(request, context, change)
      case .token(let question):
        askToken(question)
      case .ended:
        ended("The connection has ended.")
      }
    }
    if released > 0 {
      link.core?.release(cost: released)
    }
    settle()
  }

  private func follow(_ event: ConnectionEvent) {
    switch event {
    case .outboxChanged(let outbox): last.withLock { $0.outbox = outbox }
    case .qualityChanged(let quality): last.withLock { $0.quality = quality }
    case .retryScheduled: lifecycle.retryScheduled()
    default: break
    }
    log(.debug, "\(event)")
    eventBroadcast.send(event)
  }

  private func askPolicy(_ request: UInt64, _ context: RetryContext, _ change: HubwireFFI.StateChange?) {
    guard case .custom(let policy) = configuration.retry.schedule else { return }
    lifecycle.asked(request, change)
    Task { [weak self] in
      var delay: Duration?
      do {
        delay = try await policy(context)
      } catch {
        self?.log(.error, "The retry policy failed: \(reason(of: error))")
      }
      guard let self else { return }
      if delay != nil {
        lifecycle.answered(request)
      }
      link.core?.retryAfter(request: request, delay: delay?.milliseconds)
    }
  }

  private func askToken(_ question: UInt64) {
    let (factory, link) = (configuration.accessToken, self.link)
    Task {
      do {
        let token = try await factory?()
        link.core?.token(question: question, token: token, error: nil)
      } catch {
        link.core?.token(question: question, token: nil, error: reason(of: error))
      }
    }
  }

  private func ended(_ text: String) {
    let error = HubError.cancelled(text)
    calls.end(error)
    lifecycle.end(error)
    restored.resolve(.failure(error))
  }
}
