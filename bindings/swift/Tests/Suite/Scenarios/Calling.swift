import Foundation
import Hubwire

private struct Person: Codable, Hashable, Sendable {
  var name: String
  var age: Int?
  var tags: [String: [Double]]
}

/// A task whose cancellation ends it at once.
private func ended(_ task: Task<Void, any Error>, _ what: String) async throws {
  do {
    try await within("the end of \(what)", seconds: 5) { try await task.value }
    throw Failure("\(what) did not fail")
  } catch is CancellationError {}
}

let calling: [Scenario] = [
  Scenario("invoke") { test in
    for encoding in HubEncoding.allCases {
      let hub = try await test.started { $0.encoding = encoding }
      try equal(await hub.invoke("Add", 1, 2) as Int, 3, "sum")
      try await hub.invoke("Void", "nothing")
      try equal(await hub.invoke("Void", "nothing") as Int?, nil, "result of Void")
      try equal(await hub.invoke("Echo", Int?.none) as Int?, nil, "null")
      try equal(await hub.invoke("Echo", true) as Bool, true, "bool")
      try equal(await hub.invoke("Echo", "tänzt \u{1F57A} \"\\/\n") as String, "tänzt \u{1F57A} \"\\/\n", "text")
      try equal(await hub.invoke("Echo", 1.5) as Double, 1.5, "number")
      try equal(await hub.invoke("Echo", Int64.max) as Int64, .max, "largest integer")
      try equal(await hub.invoke("Echo", [1, 2, 3]) as [Int], [1, 2, 3], "list")
      let person = Person(name: "Ada", age: nil, tags: ["a": [1, 2.5], "b": []])
      try equal(await hub.invoke("Echo", person) as Person, person, "object")
      try equal(await hub.invoke("Echo", person, returning: Person.self), person, "object by its type")
      try await hub.send("Note", "invoke-\(encoding)", 1)
      try equal(await hub.invoke("Noted", "invoke-\(encoding)") as [Int], [1], "what was sent")
      let call = hub.call("Add", 20, 22, returning: Int.self)
      try await call.accepted()
      try equal(await call.value, 42, "the value of a handle")
      try equal(await call.value, 42, "the value of a handle, again")
      try equal(hub.pendingCalls, 0, "pending calls")
    }
  },
  Scenario("errors") { test in
    let hub = try await test.started()
    let refused = try await failure { try await hub.invoke("ThrowHub", "no way") }
    try equal(
      refused,
      .refused("An unexpected error occurred invoking 'ThrowHub' on the server. HubException: no way"), "error")
    let hidden = try await failure { try await hub.invoke("Throw", "secret") }
    try equal(hidden, .refused("An unexpected error occurred invoking 'Throw' on the server."), "error")
    try equal(try await failure { try await hub.invoke("Nothing") }, .refused("Unknown hub method 'Nothing'"), "error")
    let wrong = try await failure { _ = try await hub.invoke("Add", "one", 2) as Int }
    try equal(wrong, .refused("Failed to invoke 'Add' due to an error on the server."), "error")
    try equal(refused.errorDescription, refused.message, "the description of the error")
    try equal(Set(HubError.Kind.allCases.map(\.rawValue)).count, 9, "kinds")
    for kind in HubError.Kind.allCases {
      try equal(HubError(kind: kind, message: "x").kind, kind, "kind")
    }
    try equal(await hub.invoke("Add", 1, 1) as Int, 2, "sum after that")
  },
  Scenario("concurrent") { test in
    let hub = try await test.started()
    let sums = try await withThrowingTaskGroup(of: (Int, Int).self) { group in
      for number in 0..<1_000 {
        group.addTask { (number, try await hub.invoke("Add", number, 1)) }
      }
      return try await group.reduce(into: [Int: Int]()) { $0[$1.0] = $1.1 }
    }
    try equal(sums, Dictionary(uniqueKeysWithValues: (0..<1_000).map { ($0, $0 + 1) }), "sums")
    try equal(hub.pendingCalls, 0, "pending calls")
  },
  Scenario("cancel.call") { test in
    let asker = try await test.started()
    for encoding in HubEncoding.allCases {
      let hub = try await test.started { $0.encoding = encoding }
      let key = "cancel-\(UUID().uuidString)"
      // The method runs, and hears of it.
      let call = Task { try await hub.invoke("Hold", key) }
      _ = try await until("the method") { try await asker.invoke("IsHeld", key) as Bool ? true : nil }
      try equal(await asker.invoke("WasCancelled", key) as Bool, false, "whether the method was cancelled")
      call.cancel()
      try await ended(call, "the call")
      _ = try await until("the method's end") { try await asker.invoke("WasCancelled", key) as Bool ? true : nil }
      // An upload ends here and there.
      let (numbers, feed) = AsyncStream.makeStream(of: Int.self)
      let left = Events<String>()
      feed.onTermination = { reason in
        if case .cancelled = reason { left.push("cancelled") }
      }
      let drain = Task { _ = try await hub.invoke("Drain", key, Upload(numbers)) as Int }
      feed.yield(1)
      feed.yield(2)
      let drained = "\(key)-items"
      _ = try await until("the items") { try await asker.invoke("Noted", drained) as [Int] == [1, 2] ? true : nil }
      drain.cancel()
      try await ended(drain, "the call with an upload")
      try equal(await left.next("the end of the upload"), "cancelled", "the end of the upload")
      let there = "the end of the upload on the server"
      let end = try await until(there) { try await asker.invoke("Drained", key) as String? }
      try equal(end, "Stream canceled by client.", there)
      // The same by a handle, where the error is ours.
      let held = "\(key)-handle"
      let handle = hub.call("Hold", held, returning: Int?.self)
      _ = try await until("the method") { try await asker.invoke("IsHeld", held) as Bool ? true : nil }
      handle.cancel()
      let error = try await within("the end of the handle") { try await failure { _ = try await handle.value } }
      try equal(error.kind, .cancelled, "a handle that was cancelled")
      _ = try await until("the method's end") { try await asker.invoke("WasCancelled", held) as Bool ? true : nil }
      // The connection is whole, and nothing is left of the calls.
      try equal(await hub.invoke("Add", 1, 1) as Int, 2, "sum")
      try equal(hub.pendingCalls, 0, "pending calls")
    }
  },
  Scenario("cancel.before-start") { test in
    let hub = try test.hub()
    let first = Task { try await hub.invoke("Note", "before-start", 1) }
    let second = hub.call("Note", "before-start", 2, returning: Int?.self)
    try await second.accepted()
    first.cancel()
    second.cancel()
    do {
      try await first.value
      throw Failure("a call that was cancelled succeeded")
    } catch is CancellationError {}
    try equal(try await failure { _ = try await second.value }.kind, .cancelled, "the handle")
    // A task that was cancelled before makes no call at all.
    let never = Task {
      while !Task.isCancelled { await Task.yield() }
      try await hub.invoke("Note", "before-start", 3)
    }
    never.cancel()
    do {
      try await never.value
      throw Failure("a call of a cancelled task succeeded")
    } catch is CancellationError {}
    try await hub.start()
    try await hub.invoke("Note", "before-start", 4)
    try equal(await hub.invoke("Noted", "before-start") as [Int], [4], "what was sent")
  },
  Scenario("timeout") { test in
    let hub = try await test.started()
    let error = try await failure {
      let options = CallOptions(timeout: .milliseconds(100))
      _ = try await hub.invoke("Sum", Upload(AsyncStream<Int> { _ in }), options: options) as Int
    }
    try equal(error.kind, .timeout, "\(error)")
    try equal(await hub.invoke("Add", 1, 1) as Int, 2, "sum")
    let hasty = try await test.started { $0.callTimeout = .milliseconds(100) }
    let other = try await failure { _ = try await hasty.invoke("Sum", Upload(AsyncStream<Int> { _ in })) as Int }
    try equal(other.kind, .timeout, "\(other)")
  },
  Scenario("binary") { test in
    struct Parcel: Codable, Hashable, Sendable {
      let content: Data
      let sent: Date
    }
    for encoding in HubEncoding.allCases {
      let hub = try await test.started { $0.encoding = encoding }
      let data = Data((0...255).map(UInt8.init))
      try equal(await hub.invoke("Echo", data) as Data, data, "data in \(encoding)")
      try equal(await hub.invoke("Echo", Data()) as Data, Data(), "no data in \(encoding)")
      for seconds in [0, 1_234_567_890.5, -1.25, 253_402_300_799, -62_135_596_800] {
        let date = Date(timeIntervalSince1970: seconds)
        try equal(await hub.invoke("Echo", date) as Date, date, "time in \(encoding)")
      }
      let parcel = Parcel(content: data, sent: Date(timeIntervalSince1970: 1_700_000_000.125))
      try equal(await hub.invoke("Echo", [parcel]) as [Parcel], [parcel], "both, deeper, in \(encoding)")
      let got = Events<Parcel>()
      hub.on("parcel") { (parcel: Parcel) in got.push(parcel) }
      try await hub.invoke("ToCaller", "parcel", parcel)
      try equal(await got.next("the parcel"), parcel, "pushed in \(encoding)")
      // What .NET writes.
      let text = try await hub.invoke("Echo", "2024-02-29T23:59:59.1234567+01:00") as Date
      try check(abs(text.timeIntervalSince1970 - 1_709_247_599.1234567) < 1e-6, "\(text.timeIntervalSince1970)")
      let items = try await hub.stream("Double", Upload([1]), of: Int.self).reduce(into: []) { $0.append($1) }
      try equal(items, [2], "items")
    }
    let hub = try await test.started {
      $0.json.configureEncoder = { $0.keyEncodingStrategy = .convertToSnakeCase }
      $0.json.configureDecoder = { $0.keyDecodingStrategy = .convertFromSnakeCase }
    }
    struct Named: Codable, Hashable, Sendable { let firstName: String }
    try equal(await hub.invoke("Echo", Named(firstName: "Ada")) as [String: String], ["first_name": "Ada"], "keys")
    try equal(await hub.invoke("Echo", Named(firstName: "Ada")) as Named, Named(firstName: "Ada"), "keys")
  },
]
