import Foundation
import Hubwire

/// What comes too late, at the same time, or too often.
let races: [Scenario] = [
  Scenario("own.close-races") { test in
    for _ in 0..<20 {
      let hub = try await test.started()
      let calls = (0..<100).map { number in Task { try await hub.invoke("Add", number, 1) as Int } }
      let stop = Task { await hub.stop() }
      let close = Task { hub.close() }
      try await within("the end of what was asked for while it was closed") {
        for call in calls { _ = await call.result }
        await stop.value
        await close.value
      }
      try equal(hub.state, .disconnected, "state")
      try equal(hub.pendingCalls, 0, "calls that wait")
    }
  },
  Scenario("own.late-policy") { test in
    let asked = Events<Void>()
    let (gate, open) = AsyncStream.makeStream(of: Void.self)
    let hub = try test.proxied {
      $0.requestTimeout = .seconds(1)
      $0.retry = .custom { _ in
        asked.push(())
        for await _ in gate { break }
        return .milliseconds(10)
      }
    }
    let states = changes(of: hub)
    try await hub.start()
    try await test.proxy.cut()
    _ = try await asked.next("the question")
    try equal(hub.state, .connected, "state without an answer")
    await hub.stop()
    // Nobody waits for this answer any more.
    open.yield()
    try await hub.start()
    try await hub.invoke("Add", 1, 1)
    try equal(
      states.all.map(\.new), [.connecting, .connected, .disconnecting, .disconnected, .connecting, .connected], "states")
    // Nor for this one: the core goes on without.
    try await test.proxy.cut()
    _ = try await asked.next("the question")
    try await states.reach(.reconnecting)
    hub.hint(.resumed)
    try await states.reach(.connected)
    open.yield()
    try await hub.invoke("Add", 1, 1)
    try equal(states.all.last?.new, .connected, "state")
    try equal(hub.state, .connected, "state")
  },
]
