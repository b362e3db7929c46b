import Foundation
import Hubwire

private struct Answer: Codable, Hashable, Sendable {
  let ok: Bool
  var value: JSON?
  var error: String?
}

let handling: [Scenario] = [
  Scenario("push") { test in
    for encoding in HubEncoding.allCases {
      let hub = try await test.started { $0.encoding = encoding }
      let numbers = Events<Int>()
      hub.on("Number") { (number: Int) in numbers.push(number) }
      let threes = Events<String>()
      hub.on("three") { (a: Int, b: String, c: [Bool]?) in threes.push("\(a) \(b) \(c.map(String.init(describing:)) ?? "-")") }
      let none = Events<Int>()
      hub.on("three") { () in none.push(0) }
      try await hub.send("PushMany", "NUMBER", 100)
      for number in 0..<100 { try equal(await numbers.next("a message"), number, "message") }
      try await hub.invoke("ToCallerThree", "Three", 1, "two", [true])
      try equal(await threes.next("three arguments"), "1 two [true]", "arguments")
      _ = try await none.next("none of the arguments")
      // One that is missing is nil where it may be.
      let pairs = Events<String>()
      hub.on("Pair") { (a: Int, b: Int?) in pairs.push("\(a) \(b == nil)") }
      try await hub.invoke("ToCaller", "Pair", 6)
      try equal(await pairs.next("a pair"), "6 true", "arguments")
      let sequence = hub.messages("seq", as: Int.self)
      try await hub.send("PushMany", "seq", 10)
      var iterator = sequence.makeAsyncIterator()
      for number in 0..<10 { try equal(await iterator.next(), number, "message of a sequence") }
      let registration = hub.on("once") { (number: Int) in numbers.push(number) }
      try await hub.invoke("ToCaller", "once", 1)
      try equal(await numbers.next("once"), 1, "message")
      registration.cancel()
      try await hub.invoke("ToCaller", "once", 2)
      try await hub.invoke("ToCaller", "Number", 3)
      try equal(await numbers.next("what comes then"), 3, "message")
    }
  },
  Scenario("client-result") { test in
    for encoding in HubEncoding.allCases {
      let hub = try await test.started { $0.encoding = encoding }
      hub.on("Double") { (number: Int) in number * 2 }
      hub.on("Nil") { (_: Int) -> Int? in nil }
      hub.on("Fails") { (_: Int) async throws -> Int in throw Broken(text: "not today") }
      hub.on("Silent") { (_: Int) in }
      hub.on("Many") { (number: Int) in number }
      hub.on("Many") { (number: Int) in number }
      func ask(_ method: String) async throws -> Answer { try await hub.invoke("AskCaller", method, 21) }
      try equal(await ask("double"), Answer(ok: true, value: .integer(42)), "answer")
      try equal(await ask("Nil").ok, true, "the answer nil")
      try equal(await ask("Fails"), Answer(ok: false, error: "not today"), "answer")
      try equal(await ask("Silent"), Answer(ok: false, error: "Client didn't provide a result."), "answer")
      try equal(await ask("Nobody"), Answer(ok: false, error: "Client didn't provide a result."), "answer")
      try equal(await ask("Many"), Answer(ok: false, error: "Client provided multiple results."), "answer")
      let wrong = try await hub.invoke("AskCaller", "Double", "text") as Answer
      try check(!wrong.ok && wrong.error?.contains("Argument 1 of 'Double'") == true, "\(wrong)")
      // Answers do not wait for calls that the handler makes.
      hub.on("Deep") { [weak hub] (number: Int) async throws -> Int in
        guard let hub else { return 0 }
        return try await hub.invoke("Add", number, 1)
      }
      try equal(await ask("Deep"), Answer(ok: true, value: .integer(22)), "answer")
    }
  },
  Scenario("handler.throws") { test in
    let hub = try await test.started()
    let happened = events(of: hub)
    let got = Events<Int>()
    hub.on("event") { (_: Int) in throw Broken(text: "first") }
    hub.on("event") { (number: Int) in got.push(number) }
    try await hub.send("PushMany", "event", 3)
    for number in 0..<3 { try equal(await got.next("a message"), number, "message") }
    let event = try await happened.next("the event") { if case .handlerFailed = $0 { true } else { false } }
    guard case .handlerFailed(let target, let error) = event else { throw Failure("\(event)") }
    try equal(target, "event", "target")
    try equal((error as? Broken)?.text, "first", "error")
    try equal(await hub.invoke("Add", 1, 1) as Int, 2, "sum")
  },
  Scenario("handler.blocked") { test in
    let hubs = [try await test.started(), try await test.started(), try await test.started()]
    let free = DispatchSemaphore(value: 0)
    let entered = Events<Int>()
    for hub in hubs {
      hub.on("block") { (number: Int) in
        entered.push(number)
        free.wait()
      }
      try await hub.invoke("ToCaller", "block", 1)
    }
    // More threads are blocked than Swift has.
    for _ in hubs { _ = try await entered.next("the handler") }
    for hub in hubs {
      try equal(await within("a call meanwhile", seconds: 10) { try await hub.invoke("Add", 1, 1) as Int }, 2, "sum")
    }
    let other = try await test.started()
    let got = Events<Int>()
    other.on("event") { (number: Int) in got.push(number) }
    try await other.invoke("ToCaller", "event", 5)
    try equal(await got.next("another connection's message"), 5, "message")
    for _ in hubs { free.signal() }
  },
  Scenario("handler.calls") { test in
    let hub = try await test.started()
    let done = Events<Int>()
    hub.on("down") { [weak hub] (depth: Int) in
      guard let hub else { return }
      let sum = try await hub.invoke("Add", depth, 0) as Int
      var items = 0
      for try await _ in hub.stream("Count", 3, 0, of: Int.self) { items += 1 }
      if sum == 0 || items != 3 { return done.push(items) }
      try await hub.invoke("ToCaller", "down", depth - 1)
    }
    try await hub.invoke("ToCaller", "down", 20)
    try equal(await done.next("the bottom"), 3, "items")
  },
  Scenario("handler.stops") { test in
    let hub = try await test.started()
    let got = Box<Int>()
    let stopped = Events<Int>()
    let states = changes(of: hub)
    hub.on("event") { [weak hub] (number: Int) in
      got.add(number)
      if number == 2 {
        await hub?.stop()
        stopped.push(number)
      }
    }
    hub.on("event") { (number: Int) in
      if number == 2 { got.add(-1) }
    }
    try await hub.send("PushMany", "event", 1_000)
    _ = try await stopped.next("the stop")
    try await states.reach(.disconnected)
    try equal(got.all, [0, 1, 2], "messages")
    // It starts again, and handles again.
    try await hub.start()
    try await hub.invoke("ToCaller", "event", 7)
    try await within("a message after another start") { while got.all.last != 7 { await Task.yield() } }
  },
  Scenario("decode-error") { test in
    let hub = try test.hub(test.server.url("/hubs/delivery"))
    try await hub.start()
    struct Order: Codable, Sendable { let price: Int }
    // What has no id of its own comes wrapped.
    struct Wrapped: Codable, Sendable { let data: Order }
    hub.on("order") { (_: Wrapped) in }
    let happened = events(of: hub)
    let id = try await hub.invoke("Deliver", "order", ["price": "much"]) as String
    let outcome = try await hub.invoke("Outcome", id) as String
    try check(outcome.hasPrefix("failed: "), outcome)
    try check(outcome.contains("Argument 1 of 'order'") && outcome.contains("price"), outcome)
    let event = try await happened.next("the event") { if case .handlerFailed = $0 { true } else { false } }
    guard case .handlerFailed("order", let error as HubError) = event else { throw Failure("\(event)") }
    try equal(error.kind, .protocolViolation, "\(error)")
    let whole = try await hub.invoke("Deliver", "order", ["price": 1]) as String
    try equal(await hub.invoke("Outcome", whole) as String, "acknowledged", "the next one")
  },
]
