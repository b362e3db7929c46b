import Foundation
import Hubwire

/// What a connection holds, to see whether it is gone.
private final class Held: Sendable {
  func touch() {}
}

private final class WeakBox: @unchecked Sendable {
  weak var hub: HubConnection?
  weak var held: Held?

  init(_ hub: HubConnection, _ held: Held) {
    (self.hub, self.held) = (hub, held)
  }
}

extension Test {
  /// One that is used and stopped and that nobody holds. It is not one of those that end with the test.
  fileprivate func used() async throws -> WeakBox {
    let held = Held()
    let hub = try HubConnection(url: server.url())
    hub.on("event") { (_: Int) in held.touch() }
    _ = hub.messages("event", as: Int.self)
    let states = hub.states
    Task { for await _ in states {} }
    try await hub.start()
    try await hub.invoke("ToCaller", "event", 1)
    for try await _ in hub.stream("Forever", "leak", 1, of: Int.self) { break }
    try equal(await hub.invoke("Sum", Upload([1, 2])) as Int, 3, "sum")
    await hub.stop()
    return WeakBox(hub, held)
  }
}

let own: [Scenario] = [
  Scenario("leak") { test in
    var boxes: [WeakBox] = []
    let (keeper, reader) = try await Threads.reader { try test.hub() }
    for _ in 0..<10 { boxes.append(try await test.used()) }
    try check(Threads.exists(reader), "the thread has ended while there is a connection")
    for box in boxes {
      _ = try await until("the end of a connection") { box.hub == nil && box.held == nil ? true : nil }
    }
    // One that was never connected, and one that was closed while it was.
    let closed = try await test.used()
    _ = try await until("the end of a connection") { closed.hub == nil ? true : nil }
    keeper.close()
    _ = try await until("the end of the thread") { Threads.exists(reader) ? nil : true }
    // And there is another one when there is another connection.
    let next = try await test.started()
    try equal(await next.invoke("Add", 1, 1) as Int, 2, "sum")
  },
  Scenario("own.held-while-connected") { test in
    let got = Events<Int>()
    let held = Held()
    let box: WeakBox
    do {
      let hub = try HubConnection(url: test.server.url())
      hub.on("event") { (number: Int) in got.push(number) }
      try await hub.start()
      try await hub.send("PushMany", "event", 100)
      box = WeakBox(hub, held)
    }
    // Nobody but itself holds it, and it goes on.
    for number in 0..<100 { try equal(await got.next("a message"), number, "message") }
    try check(box.hub != nil, "the connection was freed while it was connected")
    await box.hub?.stop()
    _ = try await until("the end of the connection") { [box] in box.hub == nil ? true : nil }
  },
  Scenario("own.reader-thread") { test in
    let seen = Events<String>()
    let (hub, reader) = try await Threads.reader {
      try test.proxied {
        $0.accessToken = {
          seen.push(Threads.current)
          return nil
        }
        $0.retry = .custom { _ in
          seen.push(Threads.current)
          return .milliseconds(10)
        }
        $0.log = { _, _ in seen.push(Threads.current) }
      }
    }
    let done = Events<Int>()
    hub.on("event") { (number: Int) in
      seen.push(Threads.current)
      if number == 99 { done.push(number) }
    }
    let states = changes(of: hub)
    try await hub.start()
    try await hub.send("PushMany", "event", 100)
    _ = try await done.next("the last message")
    try await test.proxy.cut()
    try await states.reach(.reconnecting)
    try await states.reach(.connected)
    try check(seen.all.count > 100, "only \(seen.all.count) calls of the application")
    try check(!seen.all.contains(reader), "the thread of the connections ran something of the application")
  },
  Scenario("own.fifty-connections") { test in
    let before = Threads.named("hubwire")
    let hubs = try (0..<50).map { _ in try test.hub() }
    try check(Threads.named("hubwire").subtracting(before).count <= 1, "there is more than one thread")
    let got = Events<Int>()
    try await withThrowingTaskGroup(of: Void.self) { group in
      for (number, hub) in hubs.enumerated() {
        group.addTask {
          hub.on("event") { (value: Int) in got.push(value) }
          try await hub.start()
          try equal(await hub.invoke("Add", number, 1) as Int, number + 1, "sum")
          try await hub.invoke("ToCaller", "event", number)
        }
      }
      try await group.waitForAll()
    }
    for _ in hubs { _ = try await got.next("a message") }
    try equal(Set(got.all), Set(0..<50), "messages")
  },
  Scenario("own.calls-behind-much", limit: 120) { test in
    let hub = try await test.started()
    let count = 150_000
    let (done, sent) = (Events<Int>(), Events<Int>())
    hub.on("event") { [weak hub] (value: Int) in
      if value == 0, let hub {
        _ = try await sent.next("the last message", seconds: 120)
        done.push(try await hub.invoke("Add", 1, 2) as Int)
      }
      if value == count - 1 { done.push(value) }
    }
    // More than a connection reads that nobody handles; the server holds no more for a client than so many.
    for first in stride(from: 0, to: count, by: 1_000) {
      try await hub.invoke("PushFrom", "event", first, 1_000)
    }
    sent.push(count)
    try equal(await done.next("a call behind them"), 3, "sum")
    try equal(await done.next("the last one", seconds: 100), count - 1, "message")
  },
  Scenario("own.use-after-stop") { test in
    let hub = try await test.started()
    await hub.stop()
    let call = hub.call("Add", 1, 1, returning: Int.self)
    try await call.accepted()
    try equal(hub.pendingCalls, 1, "calls that wait")
    try await hub.start()
    try equal(await call.value, 2, "sum")
  },
  Scenario("own.close-ends-all") { test in
    let hub = try await test.started()
    let call = hub.call("Sum", Upload(AsyncStream<Int> { _ in }), returning: Int.self)
    try await call.accepted()
    let reading = Events<Int>()
    let loop = Task {
      for try await item in hub.stream("Forever", "closed", 1, of: Int.self) { reading.push(item) }
    }
    _ = try await reading.next("an item")
    let messages = hub.messages("event", as: Int.self)
    let sequence = Task { for await _ in messages {} }
    let states = hub.states
    let watching = Task { for await _ in states {} }
    hub.close()
    try equal(try await failure { _ = try await call.value }.kind, .cancelled, "the call")
    try equal(try await failure { try await loop.value }.kind, .cancelled, "the stream")
    try await within("the end of the sequences") {
      await sequence.value
      await watching.value
    }
    let starting = try test.hub(URL(string: "http://127.0.0.1:9/hub")!)
    let happened = events(of: starting)
    let start = Task { try await starting.start() }
    _ = try await happened.next("an attempt") { if case .retryScheduled = $0 { true } else { false } }
    starting.close()
    try equal(try await failure { try await start.value }.kind, .cancelled, "the start")
  },
  Scenario("own.states") { test in
    let hub = try test.hub()
    var states = hub.states.makeAsyncIterator()
    try equal(await states.next(), .disconnected, "state")
    try await hub.start()
    try equal(await states.next(), .connecting, "state")
    try equal(await states.next(), .connected, "state")
    await hub.stop()
    try equal(await states.next(), .disconnecting, "state")
    try equal(await states.next(), .disconnected, "state")
    hub.close()
    try equal(await states.next(), nil, "the end")
  },
  Scenario("own.times") { test in
    for encoding in HubEncoding.allCases {
      let hub = try test.hub { $0.encoding = encoding }
      for seconds in [Double.nan, .infinity, -.infinity, 1e300, -9_223_372_036_854.775, 253_402_300_800] {
        let call = hub.call("Echo", Date(timeIntervalSince1970: seconds), returning: JSON.self)
        let error = try await within("the end of the call") { try await failure { _ = try await call.value } }
        try equal(error.kind, .misuse, "\(seconds): \(error)")
      }
    }
  },
  Scenario("own.hub.chat.cancelled") { test in
    // Not connected: calls wait. One that is durable goes on without the task that waited for it.
    let store = test.folder.appendingPathComponent("outbox.redb")
    let hub = try test.hub { $0.outbox.store = store }
    let chat = ChatHubClient(hub)
    let joining = Task { try await chat.join("room") }
    let sending = Task { try await chat.sendMessage("hello", to: "room", isDurable: true) }
    _ = try await until("both calls") { hub.pendingCalls == 2 ? true : nil }
    joining.cancel()
    sending.cancel()
    _ = try await until("the end of one call") { hub.pendingCalls == 1 ? true : nil }
    for result in [await joining.result.map { _ in }, await sending.result.map { _ in }] {
      guard case .failure(let error) = result, error is CancellationError else { throw Failure("\(result)") }
    }
    try equal(hub.pendingCalls, 1, "calls that wait")
  },
  Scenario("own.defaults") { _ in
    let decoder = JSONDecoder()
    decoder.dateDecodingStrategy = .iso8601
    let text = #"{"messageId":"1","conversationId":"2","userId":"3","content":"4","timestamp":"2025-01-01T00:00:00Z"}"#
    try equal(try decoder.decode(ChatMessage.self, from: Data(text.utf8)).edited, false, "edited")
    let failed = try decoder.decode(TaskFailed.self, from: Data(#"{"taskId":"1","error":"2"}"#.utf8))
    try equal(failed.isRetryable, false, "isRetryable")
  },
]
