import Foundation

/// The hubs of one server, each with one connection that all of the application shares.
///
/// A hub is idle when nobody would miss it: everybody who got it from ``hub(_:)`` or ``connect(_:)`` has given it back with
/// ``release(_:)``, no handler is registered, no call is under way and its outbox is empty. After five minutes of that, noticed
/// within five more, its connection is closed; its next use starts it again.
///
/// At most 100 hubs have a connection. One more takes the place of the one that is idle for longest; when none is, it is refused
/// with the kind Overflow. A connection that the application starts on its own is counted but not refused.
public actor HubManager {
  private let baseURL: String
  private let options: HubManagerOptions
  private let changes = Broadcast<HubStateChange>()
  private var hubs: [String: ManagedHub] = [:]
  /// Counts what happens to idleness, starts and waiters.
  private var turn: UInt64 = 0

  /// The paths of hubs are below `baseURL`. Throws `HubError.misuse` when an option is not possible.
  public init(baseURL: URL, options: HubManagerOptions = HubManagerOptions()) throws {
    try options.check()
    var text = baseURL.absoluteString
    while text.hasSuffix("/") { text.removeLast() }
    self.baseURL = text
    self.options = options
  }

  /// The connection of that hub: always the same for the same path. The first time it is made, but not connected: register
  /// handlers, then ``connect(_:)``. One that was closed for being idle is started again, in the background. Give it back with
  /// ``release(_:)``, as often as you took it.
  ///
  /// Throws Overflow when it was closed for being idle and there is no place for it now, and what making a connection throws.
  public func hub(_ hub: HubDefinition) throws -> HubConnection {
    let entry = try entry(hub)
    if entry.resumes {
      try claim(entry)
    }
    entry.uses += 1
    return entry.connection
  }

  /// Says that one who got the hub does not hold it any more.
  public func release(_ hub: HubDefinition) {
    if let entry = hubs[hub.path], entry.uses > 0 {
      entry.uses -= 1
      rest(entry)
    }
  }

  /// Connects a hub and waits until that is done, at once if it is. Throws
  ///
  /// - Timeout when it takes longer than 30 s; it is not given up for that;
  /// - Overflow when there are as many connections as there may be, and none is idle;
  /// - Cancelled when the hub is disconnected meanwhile;
  /// - the error of the start when that fails.
  public func connect(_ hub: HubDefinition) async throws -> HubConnection {
    let entry = try entry(hub)
    entry.uses += 1
    do {
      if !entry.isConnected {
        try await wait(entry)
      }
      return entry.connection
    } catch {
      release(hub)
      throw error
    }
  }

  /// Connects hubs, all at the same time. One that fails changes nothing for the others.
  public func connectAll(_ hubs: [HubDefinition]) async -> [HubResult] {
    let tasks = hubs.map { hub in
      Task { () -> HubResult in
        do {
          return HubResult(path: hub.path, connection: .success(try await self.connect(hub)))
        } catch {
          return HubResult(path: hub.path, connection: .failure(error))
        }
      }
    }
    return await withTaskCancellationHandler {
      var results: [HubResult] = []
      for task in tasks {
        results.append(await task.value)
      }
      return results
    } onCancel: {
      tasks.forEach { $0.cancel() }
    }
  }

  /// Disconnects a hub, used or not. Its connection and its handlers stay, for the next ``connect(_:)``.
  public func disconnect(_ hub: HubDefinition) async {
    guard let entry = hubs[hub.path] else { return }
    entry.resumes = false
    entry.answer(.failure(HubError.cancelled("\(entry.path): The hub was disconnected.")))
    await stop(entry).value
  }

  /// As ``disconnect(_:)``, all hubs at the same time.
  public func disconnectAll() async {
    await withTaskGroup(of: Void.self) { group in
      for path in hubs.keys {
        group.addTask { await self.disconnect(HubDefinition(path: path)) }
      }
    }
  }

  /// Every hub that was used so far, by its path, with the state of its connection.
  public var states: [String: ConnectionState] { hubs.mapValues(\.connection.state) }

  /// Every change of the state of any hub, those to come included.
  public nonisolated var stateChanges: AsyncStream<HubStateChange> { changes.stream() }

  private func entry(_ hub: HubDefinition) throws -> ManagedHub {
    if let entry = hubs[hub.path] { return entry }
    guard let url = URL(string: baseURL + hub.path) else {
      throw HubError.misuse("'\(hub.path)' is no path of a hub.")
    }
    var configuration = HubConfiguration(url: url)
    options.configure(&configuration, hub.path)
    configuration.apply(hub)
    let entry = ManagedHub(hub.path, try HubConnection(configuration))
    let (changes, path) = (entry.connection.stateChanges, hub.path)
    entry.watcher = Task { [weak self] in
      for await change in changes {
        await self?.changed(path, change)
      }
    }
    hubs[hub.path] = entry
    return entry
  }

  private func wait(_ entry: ManagedHub) async throws {
    turn += 1
    let (id, promise) = (turn, Promise<Void>())
    let (path, timeout) = (entry.path, options.connectTimeout)
    entry.waiters[id] = promise
    let late = Task {
      try await Task.sleep(for: timeout)
      let text = "There was no connection within \(timeout); it is still being made."
      promise.resolve(.failure(HubError.timeout("\(path): \(text)")))
    }
    let result: Result<Void, any Error>
    do {
      try claim(entry)
      // It may have been connected before it was watched.
      if entry.isConnected {
        promise.resolve(.success(()))
      }
      try await promise.get()
      result = .success(())
    } catch {
      result = .failure(error)
    }
    // Not deferred: the compiler of Swift 6.0 fails on that in an actor.
    late.cancel()
    entry.waiters[id] = nil
    try result.get()
  }

  /// Gives the hub a place and starts it, or throws why there is none.
  private func claim(_ entry: ManagedHub) throws {
    guard !entry.isActive else { return }
    let active = hubs.values.filter(\.isActive)
    let missing = max(0, active.count + 1 - options.maxConnections)
    let idle = active.filter(\.isIdle).sorted { $0.idleSince < $1.idleSince }
    guard idle.count >= missing else {
      let text = "There are as many connections as maxConnections allows, \(options.maxConnections), and none of them is idle."
      throw HubError.overflow("\(entry.path): \(text)")
    }
    idle.prefix(missing).forEach(close)
    activate(entry)
    turn += 1
    entry.starting = turn
    let (path, start) = (entry.path, turn)
    Task { await self.start(path, start) }
  }

  private func start(_ path: String, _ start: UInt64) async {
    guard let entry = hubs[path] else { return }
    // Those that stop have their places until then.
    while entry.starting == start, let stopping = mustStop(entry) {
      await stopping.value
    }
    guard entry.starting == start else { return }
    // Somebody else may have been faster.
    guard entry.connection.state == .disconnected else {
      entry.starting = 0
      return
    }
    do {
      try await entry.connection.start()
    } catch {
      if entry.starting == start {
        entry.starting = 0
        settle(entry, error)
      }
    }
  }

  /// What has to end before the hub can start.
  private func mustStop(_ entry: ManagedHub) -> Task<Void, Never>? {
    if let stopping = entry.stopping { return stopping }
    let open = hubs.values.filter { $0.stopping != nil || $0.connection.state != .disconnected }
    return open.count < options.maxConnections ? nil : open.lazy.compactMap(\.stopping).first
  }

  private func changed(_ path: String, _ change: StateChange) {
    guard let entry = hubs[path] else { return }
    switch change.new {
    // What is being stopped was connected for those before.
    case .connected where entry.stopping == nil:
      entry.starting = 0
      activate(entry)
      entry.answer(.success(()))
    case .connecting, .reconnecting:
      // The application may have started it: it counts from now on.
      if entry.connection.state != .disconnected { activate(entry) }
    case .disconnected where entry.starting == 0:
      if case .failed(let error) = change.cause {
        settle(entry, error)
      } else {
        settle(entry, HubError.network("The connection has ended."))
      }
    default:
      break
    }
    changes.send(HubStateChange(path: path, change: change))
  }

  private func activate(_ entry: ManagedHub) {
    guard !entry.isActive else { return }
    entry.isActive = true
    entry.resumes = false
    rest(entry)
  }

  /// The hub has no connection any more, and none is being made.
  private func settle(_ entry: ManagedHub, _ error: any Error) {
    if entry.connection.state == .disconnected {
      deactivate(entry)
      entry.answer(.failure(entry.named(error)))
    }
  }

  private func deactivate(_ entry: ManagedHub) {
    entry.isActive = false
    entry.timer?.cancel()
    entry.timer = nil
  }

  /// It may be idle from now on.
  private func rest(_ entry: ManagedHub) {
    entry.timer?.cancel()
    entry.timer = nil
    turn += 1
    entry.idleSince = turn
    guard let idleAfter = options.idleAfter, entry.isActive else { return }
    let path = entry.path
    entry.timer = Task { [weak self] in
      try? await Task.sleep(for: idleAfter)
      if !Task.isCancelled { await self?.look(path) }
    }
  }

  private func look(_ path: String) {
    guard let entry = hubs[path], entry.isActive else { return }
    if entry.isIdle { close(entry) } else { rest(entry) }
  }

  private func close(_ entry: ManagedHub) {
    entry.resumes = true
    _ = stop(entry)
  }

  private func stop(_ entry: ManagedHub) -> Task<Void, Never> {
    deactivate(entry)
    entry.starting = 0
    if let stopping = entry.stopping { return stopping }
    let (connection, path) = (entry.connection, entry.path)
    let stopping = Task {
      await connection.stop()
      self.stopped(path)
    }
    entry.stopping = stopping
    return stopping
  }

  private func stopped(_ path: String) {
    hubs[path]?.stopping = nil
  }
}
