import Foundation
import Hubwire

let reconnecting: [Scenario] =
  HubTransport.allCases.map { transport in
    Scenario("reconnect.\(transport.rawValue)") { test in
      let hub = try test.proxied { $0.transports = [transport] }
      let got = Events<Int>()
      hub.on("event") { (number: Int) in got.push(number) }
      let states = changes(of: hub)
      try await hub.start()
      let before = hub.connectionID
      // A poll that was cut is made again, and nobody notices.
      if transport == .longPolling { try await test.proxy.block() } else { try await test.proxy.cut() }
      let lost = try await states.reach(.reconnecting)
      guard case .failed(let error) = lost.cause else { throw Failure("\(lost)") }
      try check(!error.message.isEmpty, "no reason")
      try await test.proxy.unblock()
      let back = try await states.reach(.connected)
      guard case .established(let id, let previous) = back.cause else { throw Failure("\(back)") }
      try equal(id, hub.connectionID, "id")
      try equal(previous, before, "previous id")
      try check(id != nil && id != before, "the id is the same")
      try await hub.invoke("ToCaller", "event", 7)
      try equal(await got.next("the message"), 7, "message")
      try equal(await hub.metrics().reconnections, 1, "reconnections")
    }
  } + [
    Scenario("reconnect.outbox") { test in
      let hub = try test.proxied()
      let states = changes(of: hub)
      try await hub.start()
      try await test.proxy.block()
      try await states.reach(.reconnecting)
      let calls = (0..<200).map { hub.call("Note", "outbox-swift", $0, returning: Int?.self) }
      for call in calls { try await call.accepted() }
      try equal(await hub.metrics().outbox.depth, 200, "depth")
      try await test.proxy.unblock()
      for call in calls { _ = try await within("a call") { try await call.value } }
      try equal(await hub.invoke("Noted", "outbox-swift") as [Int], Array(0..<200), "what came")
      try equal(await hub.metrics().outbox.depth, 0, "depth")
    },
    Scenario("reconnect.unknown") { test in
      let hub = try test.proxied { $0.announcesExtensions = false }
      let asked = Counter()
      let entered = Events<Int>()
      let (gate, open) = AsyncStream.makeStream(of: Void.self)
      hub.on("hold") { (_: Int) -> Int in
        let count = asked.add()
        entered.push(count)
        if count < 3 { for await _ in gate { break } }
        return count
      }
      let states = changes(of: hub)
      try await hub.start()
      let plain = hub.call("AskCaller", "hold", 1, returning: JSON.self)
      _ = try await entered.next("the question")
      try await test.proxy.cut()
      let error = try await within("the end of the call") { try await failure { _ = try await plain.value } }
      try equal(error.kind, .outcomeUnknown, "\(error)")
      try await states.reach(.connected)
      open.yield()
      try await states.reach(.connected)
      let again = hub.call("AskCaller", "hold", 1, options: CallOptions(isIdempotent: true), returning: JSON.self)
      _ = try await entered.next("the question")
      try await test.proxy.cut()
      try await states.reach(.reconnecting)
      open.yield()
      let answer = try await within("the answer") { try await again.value }
      try equal(answer["value"], .integer(3), "answer")
    },
    Scenario("reconnect.half-open") { test in
      let hub = try test.proxied {
        $0.serverTimeout = .seconds(3)
        $0.keepAliveInterval = .milliseconds(500)
        $0.transports = [.webSockets]
      }
      let states = changes(of: hub)
      try await hub.start()
      try await test.proxy.halfOpen()
      try await states.reach(.reconnecting)
      try await test.proxy.unblock()
      try await states.reach(.connected)
      try equal(await hub.invoke("Add", 1, 1) as Int, 2, "sum")
    },
    Scenario("reconnect.first-start") { test in
      try await test.server.kill()
      let hub = try test.hub { $0.retry = .quick }
      let happened = events(of: hub)
      let call = hub.call("Add", 1, 1, returning: Int.self)
      let start = Task { try await hub.start() }
      _ = try await happened.next("another attempt") { if case .retryScheduled = $0 { true } else { false } }
      try await test.server.restart()
      try await within("the start") { try await start.value }
      try equal(await within("the call") { try await call.value }, 2, "sum")
    },
    Scenario("reconnect.restart") { test in
      let hub = try test.hub { $0.retry = .quick }
      let states = changes(of: hub)
      try await hub.start()
      try await test.server.kill()
      try await states.reach(.reconnecting)
      let calls = (0..<20).map { hub.call("Add", $0, 0, returning: Int.self) }
      try await test.server.restart()
      for (number, call) in calls.enumerated() {
        try equal(await within("a call") { try await call.value }, number, "sum")
      }
    },
    Scenario("reconnect.gives-up") { test in
      let hub = try test.proxied { $0.retry = .table([.milliseconds(10), .milliseconds(10)]) }
      let states = changes(of: hub)
      try await hub.start()
      try await test.proxy.block()
      try await states.reach(.reconnecting)
      let call = hub.call("Add", 1, 1, returning: Int.self)
      let end = try await states.reach(.disconnected)
      guard case .failed(let error) = end.cause else { throw Failure("\(end)") }
      try equal(error.kind, .network, "\(error)")
      try equal(try await failure { _ = try await call.value }.kind, .network, "what waited")
      try await test.proxy.unblock()
      try await hub.start()
      try equal(await hub.invoke("Add", 1, 1) as Int, 2, "sum")
      await hub.stop()
      try await test.proxy.block()
      // A table does not try a first start again.
      try equal(try await failure { try await hub.start() }.kind, .network, "a start")
      try equal(hub.state, .disconnected, "state")
    },
    Scenario("reconnect.stop") { test in
      let hub = try test.proxied { $0.retry = .slow }
      let states = changes(of: hub)
      try await hub.start()
      try await test.proxy.block()
      try await states.reach(.reconnecting)
      try await within("the stop", seconds: 5) { await hub.stop() }
      try equal(hub.state, .disconnected, "state")
      // So does cancelling a start.
      let start = Task { try await hub.start() }
      try await states.reach(.connecting)
      start.cancel()
      let result = try await within("the end of the start", seconds: 5) { await start.result }
      guard case .failure(let error) = result, error is CancellationError else { throw Failure("\(result)") }
      try await states.reach(.disconnected)
      try await test.proxy.unblock()
      try await hub.start()
      try equal(await hub.invoke("Add", 1, 1) as Int, 2, "sum")
    },
    Scenario("retry.custom") { test in
      let asked = Events<RetryContext>()
      let hub = try test.proxied {
        $0.retry = .custom { context in
          asked.push(context)
          if context.previousRetryCount == 2 { throw Broken(text: "enough") }
          return .milliseconds(10)
        }
      }
      let states = changes(of: hub)
      try await hub.start()
      try await test.proxy.block()
      for count in 0..<3 {
        let context = try await asked.next("the question")
        try equal(context.previousRetryCount, count, "count")
        try check(!context.reason.message.isEmpty, "no reason")
        try check(context.elapsed >= .zero, "\(context.elapsed)")
      }
      try await states.reach(.reconnecting)
      try await states.reach(.disconnected)
    },
    Scenario("hints") { test in
      let platform = TestHints()
      let hub = try test.proxied {
        $0.retry = .slow
        $0.hints = [platform]
      }
      let states = changes(of: hub)
      try await hub.start()
      platform.report(.offline)
      try await test.proxy.cut()
      try await states.reach(.reconnecting)
      platform.report(.online)
      try await states.reach(.connected, seconds: 10)
      hub.hint(.background)
      hub.hint(.foreground)
      try await test.proxy.cut()
      try await states.reach(.reconnecting)
      hub.hint(.resumed)
      try await states.reach(.connected, seconds: 10)
      hub.close()
      try equal(platform.ended.value, 1, "the hints were ended")
    },
  ]

/// A platform that says what it is told.
private final class TestHints: PlatformHints, @unchecked Sendable {
  let ended = Counter()
  private let lock = NSLock()
  private var reports: [@Sendable (Hint) -> Void] = []

  func begin(_ report: @escaping @Sendable (Hint) -> Void) -> @Sendable () -> Void {
    lock.withLock { reports.append(report) }
    return { [ended] in ended.add() }
  }

  func report(_ hint: Hint) {
    lock.withLock { reports }.forEach { $0(hint) }
  }
}
