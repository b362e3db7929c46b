import Foundation
import Hubwire

/// What a child process does: makes durable calls without end and says which are safe. `life URL STORE KEY FIRST`
func life(_ arguments: [String]) async throws {
  let hub = try HubConnection(url: URL(string: arguments[1])!) {
    $0.retry = .quick
    $0.outbox.store = URL(fileURLWithPath: arguments[2])
  }
  Task { try await hub.start() }
  say("restored \(try await hub.restoredCalls().count)")
  var number = Int(arguments[4])!
  if number < 0 {
    // Calls of every kind, once.
    let options = CallOptions(isDurable: true)
    try await hub.call("Add", 20, 22, options: options, returning: Int.self).accepted()
    try await hub.call("ThrowHub", "stored", options: options, returning: Int?.self).accepted()
    try await hub.sendCall("Note", arguments[3], 1, options: options).accepted()
    say("safe -1")
    try await Task.sleep(for: .seconds(600))
  }
  while true {
    try await hub.call("Note", arguments[3], number, options: CallOptions(isDurable: true), returning: Int?.self)
      .accepted()
    say("safe \(number)")
    number += 1
  }
}

extension Test {
  fileprivate func child(_ key: String, _ store: URL, first: Int) throws -> Program {
    try Program(
      ProcessInfo.processInfo.arguments[0], ["life", proxy.url().absoluteString, store.path, key, String(first)])
  }
}

let outbox: [Scenario] = [
  Scenario("outbox.restart") { test in
    let store = test.folder.appendingPathComponent("outbox.redb")
    let key = "restart-swift"
    var first = 0
    var safe: [Int] = []
    var restored = 0
    for life in 0..<3 {
      // In one life there is no server, in another it goes away.
      if life == 0 { try await test.proxy.block() }
      let child = try test.child(key, store, first: first)
      _ = try await child.line("safe calls") { $0 == "safe \(first + 20)" }
      if life == 1 { try await test.proxy.cut() }
      try await child.kill()
      let lines = child.allLines
      restored += Int(lines[0].dropFirst("restored ".count)) ?? 0
      let these = lines.compactMap { $0.hasPrefix("safe ") ? Int($0.dropFirst(5)) : nil }
      safe += these
      // The one after the last that is known to be safe may be in the store, too.
      first = these.last! + 2
      try await test.proxy.unblock()
    }
    try check(restored > 0, "no life had anything to send for an earlier one")
    let hub = try test.proxied { $0.outbox.store = store }
    let calls = try await hub.restoredCalls()
    try await hub.start()
    for call in calls {
      try equal(call.target, "Note", "target")
      try await within("a restored call") { try await call.ended() }
    }
    let numbers = try await hub.invoke("Noted", key) as [Int]
    try equal(numbers, Set(numbers).sorted(), "each once and in order")
    try check(Set(safe).isSubset(of: numbers), "lost: \(Set(safe).subtracting(numbers).sorted())")
    try equal(await hub.metrics().outbox.depth, 0, "depth")
  },
  Scenario("outbox.restored") { test in
    let store = test.folder.appendingPathComponent("outbox.redb")
    try await test.proxy.block()
    let child = try test.child("restored-swift", store, first: -1)
    _ = try await child.line("safe calls") { $0 == "safe -1" }
    try await child.kill()
    try await test.proxy.unblock()
    let hub = try test.proxied { $0.outbox.store = store }
    let calls = try await hub.restoredCalls()
    try equal(calls.map(\.target), ["Add", "ThrowHub", "Note"], "targets")
    try await hub.start()
    try equal(await within("the sum") { try await calls[0].value(as: Int.self) }, 42, "sum")
    let error = try await within("the error") { try await failure { try await calls[1].ended() } }
    try equal(error.kind, .refused, "\(error)")
    try await within("the end of what was sent") { try await calls[2].ended() }
    try equal(await hub.invoke("Noted", "restored-swift") as [Int], [1], "what came")
    try equal(try await test.hub().restoredCalls().count, 0, "restored calls without a store")
  },
  Scenario("outbox.full") { test in
    let hub = try test.hub { $0.outbox.maxItems = 2 }
    let first = hub.call("Add", 1, 0, returning: Int.self)
    let old = hub.call("Add", 2, 0, options: CallOptions(supersedeKey: "key"), returning: Int.self)
    try await first.accepted()
    try await old.accepted()
    try equal(try await failure { try await hub.invoke("Add", 3, 0) }.kind, .overflow, "one too many")
    let new = hub.call("Add", 4, 0, options: CallOptions(supersedeKey: "key"), returning: Int.self)
    try equal(try await failure { _ = try await old.value }.kind, .cancelled, "what was superseded")
    let hasty = CallOptions(queues: false)
    try equal(try await failure { try await hub.invoke("Add", 5, 0, options: hasty) }.kind, .misuse, "no queue")
    try await hub.start()
    try equal(await first.value, 1, "the first")
    try equal(await new.value, 4, "the newest")
    let off = try test.hub { $0.outbox.maxItems = 0 }
    let refused = try await failure { try await off.invoke("Add", 1, 1) }
    try check(refused.kind != .overflow || !refused.message.isEmpty, "\(refused)")
  },
  Scenario("outbox.unreadable") { test in
    // A folder is no store.
    let hub = try test.hub { $0.outbox.store = test.folder }
    let error = try await failure("the start") { try await hub.start() }
    try check(error.message.contains(test.folder.path), "\(error)")
    try equal(hub.state, .disconnected, "state")
    let options = CallOptions(isDurable: true)
    _ = try await within("the end of a durable call") {
      try await failure { try await hub.invoke("Add", 1, 1, options: options) }
    }
  },
]
