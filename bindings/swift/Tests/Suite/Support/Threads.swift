import Foundation
import Hubwire

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

  /// A connection and the thread that reads for it, from the time before anything was read: threads that it makes have its name,
  /// too. Tries again while the thread of earlier connections has not ended.
  static func reader(_ make: @escaping @Sendable () throws -> HubConnection) async throws -> (HubConnection, String) {
    let attempts = Counter()
    return try await until("the thread of the connections") {
      // Another connection keeps the thread that is about to end.
      try await Task.sleep(for: .milliseconds(50 * attempts.add()))
      let before = named("hubwire")
      let hub = try make()
      for _ in 0..<100 {
        if let reader = named("hubwire").subtracting(before).first { return (hub, reader) }
        try await Task.sleep(for: .milliseconds(10))
      }
      hub.close()
      return nil
    }
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
