import Foundation
import Hubwire

let delivering: [Scenario] = [
  Scenario("ack.auto") { test in
    let hub = try test.hub(test.server.url("/hubs/delivery"))
    try await hub.start()
    let (gate, open) = AsyncStream.makeStream(of: Void.self)
    let entered = Events<String>()
    hub.on("event") { (message: [String: JSON]) in
      entered.push("\(message["n"] ?? .null)")
      for await _ in gate { break }
    }
    let id = try await hub.invoke("Deliver", "event", ["n": 1]) as String
    _ = try await entered.next("the message")
    try equal(await hub.metrics().acknowledged, 0, "acknowledged before the handler has ended")
    open.yield()
    try equal(await hub.invoke("Outcome", id) as String, "acknowledged", "outcome")
    try equal(await hub.metrics().acknowledged, 1, "acknowledged")
  },
  Scenario("ack.nack") { test in
    let hub = try test.hub(test.server.url("/hubs/delivery"))
    try await hub.start()
    hub.on("event") { (_: JSON) in }
    hub.on("event") { (_: JSON) in throw Broken(text: "the shelf is full") }
    let id = try await hub.invoke("Deliver", "event", ["n": 1]) as String
    try equal(await hub.invoke("Outcome", id) as String, "failed: the shelf is full", "outcome")
    let nobody = try await hub.invoke("Deliver", "nobody", ["n": 1]) as String
    try equal(
      await hub.invoke("Outcome", nobody) as String, "failed: No handler is registered for 'nobody'.", "outcome")
    try equal(await hub.metrics().nacked, 2, "refused")
  },
  Scenario("ack.manual") { test in
    let hub = try test.hub(test.server.url("/hubs/delivery")) { $0.delivery.targets = ["event": .manual] }
    try await hub.start()
    let got = Events<String>()
    hub.on("event") { (message: [String: JSON]) in
      guard case .string(let id)? = message["messageId"] else { throw Broken(text: "no id") }
      got.push(id)
      // Says nothing in this mode.
      throw Broken(text: "ignored")
    }
    let first = try await hub.invoke("Deliver", "event", ["n": 1]) as String
    try equal(await got.next("the message"), first, "id")
    hub.acknowledge(first)
    try equal(await hub.invoke("Outcome", first) as String, "acknowledged", "outcome")
    let second = try await hub.invoke("Deliver", "event", ["n": 2]) as String
    try equal(await got.next("the message"), second, "id")
    hub.nack(second, reason: "no room")
    try equal(await hub.invoke("Outcome", second) as String, "failed: no room", "outcome")
  },
  Scenario("batch") { test in
    for encoding in HubEncoding.allCases {
      let hub = try test.hub(test.server.url("/hubs/delivery")) { $0.encoding = encoding }
      try await hub.start()
      let got = Events<Int?>()
      hub.on("event") { (value: [String: Int]) in got.push(value["number"]) }
      let group = "batch-\(encoding)"
      try await hub.invoke("Join", group)
      let before = try await hub.metrics().messagesReceived
      try await hub.invoke("Batch", group, "event", (0..<50).map { ["number": $0] })
      for number in 0..<50 { try equal(await got.next("a member"), number, "member") }
      let received = try await hub.metrics().messagesReceived - before
      try check(received < 50, "\(received) messages came for 50 values: they were no batch")
    }
  },
  Scenario("delta") { test in
    for encoding in HubEncoding.allCases {
      let hub = try test.hub(test.server.url("/hubs/delivery")) { $0.encoding = encoding }
      try await hub.start()
      let (whole, parts) = (Events<[String: JSON]>(), Events<[String: JSON]>())
      hub.on("event") { (object: [String: JSON]) in whole.push(object) }
      hub.on("eventDelta") { (change: [String: JSON]) in parts.push(change) }
      let group = "delta-\(encoding)"
      try await hub.invoke("Join", group)
      let first: [String: JSON] = ["taskId": .string(group), "a": .integer(1), "b": .string("same")]
      let second: [String: JSON] = ["taskId": .string(group), "a": .integer(2), "b": .string("same")]
      try await hub.invoke("Change", group, "event", group, first)
      let one = try await whole.next("the object")
      try equal(one["a"], .integer(1), "member")
      try await hub.invoke("Change", group, "event", group, second)
      let two = try await whole.next("the object, changed")
      try equal([two["a"], two["b"]], [.integer(2), .string("same")], "members")
      let change = try await parts.next("the change") { "\($0)".contains("2") }
      try check(!"\(change)".contains("same"), "the change has what has not changed: \(change)")
    }
  },
]
