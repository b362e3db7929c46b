import Foundation
import Hubwire

/// What a test has: the programs, and connections that end with it.
final class Test: @unchecked Sendable {
  let server: Server
  let proxy: Proxy
  let files: Files
  let folder: URL
  private let lock = NSLock()
  private var hubs: [HubConnection] = []
  private var weak: [WeakReference] = []

  init(_ server: Server, _ proxy: Proxy, _ files: Files) throws {
    (self.server, self.proxy, self.files) = (server, proxy, files)
    folder = FileManager.default.temporaryDirectory.appendingPathComponent("hubwire-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  }

  /// A connection to the interop hub, straight to the server.
  func hub(_ configure: (inout HubConfiguration) -> Void = { _ in }) throws -> HubConnection {
    try hub(server.url(), configure)
  }

  /// One through the fault proxy, that comes back at once.
  func proxied(_ configure: (inout HubConfiguration) -> Void = { _ in }) throws -> HubConnection {
    try hub(proxy.url()) { options in
      options.retry = .quick
      configure(&options)
    }
  }

  func hub(_ url: URL, _ configure: (inout HubConfiguration) -> Void = { _ in }) throws -> HubConnection {
    let hub = try HubConnection(url: url, configure: configure)
    lock.withLock { hubs.append(hub) }
    return hub
  }

  func started(_ configure: (inout HubConfiguration) -> Void = { _ in }) async throws -> HubConnection {
    let hub = try hub(configure)
    try await within("the start") { try await hub.start() }
    return hub
  }

  func end() async throws {
    let hubs = lock.withLock { self.hubs }
    for hub in hubs {
      try await within("the stop of a connection") { await hub.stop() }
      hub.close()
    }
    try? FileManager.default.removeItem(at: folder)
    weak = hubs.map { WeakReference($0) }
    lock.withLock { self.hubs = [] }
  }

  /// Of every test: nothing holds what has ended.
  func noneLeft() async throws {
    for reference in weak {
      _ = try await until("the end of a connection that was closed") { reference.hub == nil ? true : nil }
    }
  }
}

final class WeakReference: @unchecked Sendable {
  weak var hub: HubConnection?

  init(_ hub: HubConnection) {
    self.hub = hub
  }
}

extension RetryPolicy {
  /// Comes back at once.
  static let quick: RetryPolicy = {
    var policy = RetryPolicy.table(Array(repeating: .milliseconds(50), count: 200))
    policy.retriesFirstStart = true
    return policy
  }()

  /// Comes back by itself only after a minute.
  static let slow: RetryPolicy = {
    var policy = RetryPolicy.table([.seconds(60), .seconds(60)])
    policy.retriesFirstStart = true
    return policy
  }()
}

/// What the suite reads and runs.
struct Files: Sendable {
  let server: String
  let proxy: String
  let scenarios: String
  let vectors: String
  /// The program of examples/chat-swift, if it is to be tried.
  let example: String?
  /// Parts of ids, with commas between them.
  let only: String

  func wants(_ id: String) -> Bool {
    only.isEmpty || only.split(separator: ",").contains { id.contains($0) }
  }

  /// What all packages share.
  private static let tests = (0..<6).reduce(URL(fileURLWithPath: #filePath)) { url, _ in url.deletingLastPathComponent() }
    .appendingPathComponent("tests")

  init(_ arguments: [String]) throws {
    func value(_ name: String) -> String? {
      arguments.firstIndex(of: "--\(name)").flatMap { $0 + 1 < arguments.count ? arguments[$0 + 1] : nil }
    }
    func required(_ name: String) throws -> String {
      guard let value = value(name) else { throw Failure("--\(name) is missing") }
      return value
    }
    server = try required("server")
    proxy = try required("proxy")
    scenarios = value("scenarios") ?? Self.tests.appendingPathComponent("scenarios/scenarios.json").path
    vectors = value("vectors") ?? Self.tests.appendingPathComponent("vectors").path
    example = value("example")
    only = value("only") ?? ""
  }
}

struct Scenario: Sendable {
  let id: String
  /// Seconds.
  var limit: Double = 60
  let run: @Sendable (Test) async throws -> Void

  init(_ id: String, limit: Double = 60, _ run: @escaping @Sendable (Test) async throws -> Void) {
    (self.id, self.limit, self.run) = (id, limit, run)
  }
}

private struct List: Decodable {
  struct Line: Decodable { let id: String }
  let scenarios: [Line]
}

/// Runs all tests and says in one line what became of each. True if all is well.
func runAll(_ scenarios: [Scenario], _ files: Files) async throws -> Bool {
  let list = try JSONDecoder().decode(List.self, from: Data(contentsOf: URL(fileURLWithPath: files.scenarios)))
  let known = Set(list.scenarios.map(\.id))
  let ids = scenarios.map(\.id)
  var problems = known.subtracting(ids).sorted().map { ($0, "there is no test for it") }
  for id in Set(ids).subtracting(known).sorted() where !id.hasPrefix("own.") {
    problems.append((id, "it is not in the list of scenarios"))
  }
  if Set(ids).count < ids.count {
    problems.append(("own.ids", "two tests have the same id"))
  }
  return try await run(scenarios, files, problems)
}

/// Runs those, whatever the list has. True if all is well, and there are no problems.
func run(_ scenarios: [Scenario], _ files: Files, _ problems: [(id: String, reason: String)] = []) async throws -> Bool {
  var (passed, failed) = (0, 0)
  func fail(_ id: String, _ reason: String) {
    failed += 1
    say("FAIL \(id): \(reason.replacingOccurrences(of: "\n", with: " "))")
  }
  problems.forEach { fail($0.id, $0.reason) }
  let server = try await Server(files.server)
  let proxy = try await Proxy(files.proxy, upstream: server.host)
  for scenario in scenarios where files.wants(scenario.id) {
    do {
      let test = try Test(server, proxy, files)
      let result: Result<Void, any Error>
      do {
        try await within("the end of the test", seconds: scenario.limit) { try await scenario.run(test) }
        result = .success(())
      } catch {
        result = .failure(error)
      }
      try await proxy.unblock()
      try await test.end()
      try result.get()
      try await test.noneLeft()
      passed += 1
      say("ok \(scenario.id)")
    } catch {
      fail(scenario.id, "\(error)")
    }
  }
  try await proxy.stop()
  try await server.stop()
  say("\(passed) passed, \(failed) failed")
  return failed == 0
}

func say(_ line: String) {
  FileHandle.standardOutput.write(Data((line + "\n").utf8))
}
