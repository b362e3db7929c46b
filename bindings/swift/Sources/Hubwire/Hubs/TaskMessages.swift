/// A task has started.
public struct TaskStarted: Codable, Hashable, Sendable {
  public let taskId: String
  public let taskType: String
  public let metadata: [String: JSONValue]?
}

/// How far a task is. From a Hubwire server always everything, though only what has changed is sent.
public struct TaskProgress: Codable, Hashable, Sendable {
  public let taskId: String
  /// 0 to 100.
  public let progressPercentage: Double
  public let message: String?
  public let status: String?
}

/// A task has ended well.
public struct TaskCompleted: Codable, Hashable, Sendable {
  public let taskId: String
  public let result: JSONValue?
}

/// A task has failed.
public struct TaskFailed: Codable, Hashable, Sendable {
  public let taskId: String
  public let error: String
  /// False where nothing is said of it.
  public let isRetryable: Bool
}

extension TaskFailed {
  public init(from decoder: any Decoder) throws {
    let fields = try decoder.container(keyedBy: CodingKeys.self)
    taskId = try fields.decode(String.self, forKey: .taskId)
    error = try fields.decode(String.self, forKey: .error)
    isRetryable = try fields.decodeIfPresent(Bool.self, forKey: .isRetryable) ?? false
  }
}

/// A task was taken back.
public struct TaskCancelled: Codable, Hashable, Sendable {
  public let taskId: String
  public let reason: String?
}

/// A task took too long.
public struct TaskTimedOut: Codable, Hashable, Sendable {
  public let taskId: String
  public let timeoutSeconds: Double
}
