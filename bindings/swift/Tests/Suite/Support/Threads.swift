import Foundation

/// Threads as Linux knows them.
enum Threads {
  static func named(_ name: String) -> Set<String> {
    let folder = "/proc/self/task"
    let all = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    return Set(
      all.filter { id in
        (try? String(contentsOfFile: "\(folder)/\(id)/comm", encoding: .utf8)) == "\(name)\n"
      })
  }

  static func exists(_ id: String) -> Bool {
    FileManager.default.fileExists(atPath: "/proc/self/task/\(id)")
  }

  static var current: String {
    let link = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/thread-self")
    return link?.split(separator: "/").last.map(String.init) ?? "unknown"
  }

  /// The thread that reads, from the time before anything was read: threads that it makes have its name, too.
  static func reader(_ make: () throws -> Void) async throws -> String {
    // Of earlier connections.
    let before = named("hubwire")
    try make()
    return try await until("the thread of the connections") { named("hubwire").subtracting(before).first }
  }
}

/// For what nobody tells: looks again and again.
func until<Value: Sendable>(_ what: String, _ look: @escaping @Sendable () async throws -> Value?) async throws -> Value {
  try await within(what) {
    while true {
      if let value = try await look() { return value }
      try await Task.sleep(for: .milliseconds(5))
    }
  }
}
