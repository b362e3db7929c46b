import Foundation

extension HubDefinition {
  private static let taskJoin = JoinRule(join: "SubscribeToTask", leave: "UnsubscribeFromTask")

  /// The hub of all tasks. What was subscribed to is subscribed to again after a new connection.
  public static let tasks = HubDefinition(
    path: "/hubs/tasks",
    joins: [taskJoin, JoinRule(join: "SubscribeToTaskType", leave: "UnsubscribeFromTaskType")], pingMethod: "Ping")

  /// The hub of tasks that make videos.
  public static let videos = HubDefinition(path: "/hubs/video-generation", joins: [taskJoin], pingMethod: "Ping")

  /// The hub of tasks that make images.
  public static let images = HubDefinition(path: "/hubs/image-generation", joins: [taskJoin], pingMethod: "Ping")
}

/// A client of ``HubDefinition/tasks``. Who subscribes gets the present state of the task as an event.
public final class TaskHubClient: Sendable {
  /// For everything that is not about this hub: start, stop, states, events.
  public let connection: HubConnection
  private let other: (@Sendable (HubDefinition) async throws -> HubConnection)?
  /// Asked for once: it counts as held.
  private let others = Locked<[HubDefinition: HubConnection]>([:])

  /// On a connection that was configured with ``HubDefinition/tasks``. With `hub`, tasks whose type says that they make videos or
  /// images are subscribed to on the hub for those, too: `{ try await manager.hub($0) }`.
  public init(
    _ connection: HubConnection, hub: (@Sendable (HubDefinition) async throws -> HubConnection)? = nil
  ) {
    (self.connection, other) = (connection, hub)
  }

  /// Begins to follow a task of one's own.
  public func subscribe(toTask task: String, type: String = "") async throws {
    try await each("SubscribeToTask", task, type)
  }

  /// Ends that.
  public func unsubscribe(fromTask task: String, type: String = "") async throws {
    try await each("UnsubscribeFromTask", task, type)
  }

  /// Begins to hear of the start of tasks of that type.
  public func subscribe(toType type: String) async throws {
    try await connection.invoke("SubscribeToTaskType", type)
  }

  /// Ends that.
  public func unsubscribe(fromType type: String) async throws {
    try await connection.invoke("UnsubscribeFromTaskType", type)
  }

  /// The time of the server.
  public func ping() async throws -> Date {
    Date(timeIntervalSince1970: try await connection.invoke("Ping") / 1_000)
  }

  /// A task has started. As ``HubConnection/on(_:_:)``, and so are the others.
  @discardableResult
  public func onStarted(_ handler: @escaping @Sendable (TaskStarted) async throws -> Void) -> Registration {
    on("TaskStarted", ["taskId", "taskType", "metadata"], handler)
  }

  /// A task has got on.
  @discardableResult
  public func onProgress(_ handler: @escaping @Sendable (TaskProgress) async throws -> Void) -> Registration {
    on("TaskProgress", ["taskId", "progressPercentage", "message"], handler)
  }

  /// A task has ended well.
  @discardableResult
  public func onCompleted(_ handler: @escaping @Sendable (TaskCompleted) async throws -> Void) -> Registration {
    on("TaskCompleted", ["taskId", "result"], handler)
  }

  /// A task has failed.
  @discardableResult
  public func onFailed(_ handler: @escaping @Sendable (TaskFailed) async throws -> Void) -> Registration {
    on("TaskFailed", ["taskId", "error", "isRetryable"], handler)
  }

  /// A task was taken back.
  @discardableResult
  public func onCancelled(_ handler: @escaping @Sendable (TaskCancelled) async throws -> Void) -> Registration {
    on("TaskCancelled", ["taskId", "reason"], handler)
  }

  /// A task took too long.
  @discardableResult
  public func onTimedOut(_ handler: @escaping @Sendable (TaskTimedOut) async throws -> Void) -> Registration {
    on("TaskTimedOut", ["taskId", "timeoutSeconds"], handler)
  }

  /// Servers send an event as one object or as a list of arguments; both become the value.
  private func on<Value: Decodable & Sendable>(
    _ target: String, _ fields: [String], _ handler: @escaping @Sendable (Value) async throws -> Void
  ) -> Registration {
    connection.register(target) { codec, message in
      if message.arguments.first?.first(where: { $0 > UInt8(ascii: " ") }) == UInt8(ascii: "{") {
        try await handler(message.argument(0, Value.self, codec))
        return nil
      }
      var members = ""
      for (field, argument) in zip(fields, message.arguments) {
        members += "\(members.isEmpty ? "" : ",")\"\(field)\":\(String(decoding: argument, as: UTF8.self))"
      }
      let object = Handlers.Message(target: target, arguments: [Data("{\(members)}".utf8)])
      try await handler(object.argument(0, Value.self, codec))
      return nil
    }
  }

  private func each(_ method: String, _ task: String, _ type: String) async throws {
    let hub: HubDefinition? = type.contains("video") ? .videos : type.contains("image") ? .images : nil
    async let first: Void = connection.invoke(method, task)
    if let hub, let other {
      let second: HubConnection
      if let known = others.withLock({ $0[hub] }) {
        second = known
      } else {
        second = try await other(hub)
        others.withLock { $0[hub] = second }
      }
      try await second.invoke(method, task)
    }
    try await first
  }
}
