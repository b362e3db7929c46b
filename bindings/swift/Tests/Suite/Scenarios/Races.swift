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
    let expected: [ConnectionState] = [.connecting, .connected, .disconnecting, .disconnected, .connecting, .connected]
    try equal(states.all.map(\.new), expected, "states")
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
  Scenario("own.manager-races") { test in
    var options = HubManagerOptions()
    options.maxConnections = 1
    for _ in 0..<20 {
      let manager = try HubManager(baseURL: test.server.url("/"), options: options)
      _ = try await within("the hub") { try await manager.connect("/hubs/interop") }
      manager.release("/hubs/interop")
      // There is one place: the other one is idle, or is not.
      async let second = manager.connectAll(["/hubs/delivery"])
      async let first = manager.connectAll(["/hubs/interop"])
      let connected = try await within("both") { [results = await first + second] in
        results.filter { if case .success = $0.connection { true } else { false } }
      }
      try equal(connected.count, 1, "hubs for one place")
      await manager.disconnectAll()
    }
  },
  Scenario("own.messages-cancelled") { test in
    let hub = try test.hub(test.server.url("/hubs/delivery"))
    try await hub.start()
    let got = Events<JSON>()
    let messages = hub.messages("event", as: JSON.self)
    let loop = Task { for await message in messages { got.push(message) } }
    let read = try await hub.invoke("Deliver", "event", ["n": 1]) as String
    _ = try await got.next("the message")
    try equal(await hub.invoke("Outcome", read) as String, "acknowledged", "outcome")
    loop.cancel()
    await loop.value
    let late = try await hub.invoke("Deliver", "event", ["n": 2]) as String
    try equal(await hub.invoke("Outcome", late) as String, "failed: No handler is registered for 'event'.", "outcome")
    for await message in messages { throw Failure("after the end: \(message)") }
  },
  Scenario("own.log-bound") { test in
    let lines = Events<String>()
    let gate = DispatchSemaphore(value: 0)
    let blocked = Counter()
    let hub = try test.hub {
      $0.log = { _, line in
        if blocked.add() == 1 { gate.wait() }
        lines.push(line)
      }
    }
    let done = Events<Int>()
    hub.on("done") { (number: Int) in done.push(number) }
    try await hub.start()
    try await hub.invoke("PushMany", "nobody", 3_000)
    try await hub.invoke("ToCaller", "done", 1)
    _ = try await done.next("the last message")
    gate.signal()
    let line = try await lines.next("what was left out") { $0.contains("left out") }
    let missing = Int(line.prefix { $0.isNumber }) ?? 0
    let logged = lines.all.filter { $0.contains("'nobody'") }.count
    try check(missing > 0 && logged <= 1_000 && missing + logged >= 3_000, "\(line), \(logged) were not")
  },
]
