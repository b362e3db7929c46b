import Foundation
import Hubwire

struct Broken: LocalizedError {
  let text: String
  var errorDescription: String? { text }
}

let streaming: [Scenario] =
  [
    Scenario("stream.down") { test in
      let hub = try await test.started()
      var items: [Int] = []
      for try await item in hub.stream("Count", 10, 0, of: Int.self) { items.append(item) }
      try equal(items, Array(0..<10), "items")
      items = []
      let error = try await failure("the stream") {
        for try await item in hub.stream("CountThenFail", 3, "no more", of: Int.self) { items.append(item) }
      }
      try equal(items, [0, 1, 2], "items before the error")
      try equal(
        error, .refused("An error occurred on the server while streaming results. HubException: no more"), "error")
      let wrong = try await failure("the stream") { for try await _ in hub.stream("Count", 1, 0, of: String.self) {} }
      try equal(wrong.kind, .protocolViolation, "items of another type")
      try check(wrong.message.contains("An item of 'Count'"), "\(wrong)")
      var over = hub.stream("Count", 3, 0, of: String.self).makeAsyncIterator()
      _ = try await failure("the first item") { _ = try await over.next() }
      try equal(await over.next(), nil, "what follows it")
      let none = try await failure("the stream") { for try await _ in hub.stream("Add", 1, 2, of: Int.self) {} }
      try equal(none.kind, .refused, "a method that does not stream")
      let many = hub.stream("Count", 500, 0, options: StreamOptions(buffering: .bounded(10)), of: Int.self)
      let iterator = Box<Int>()
      let overflow = try await failure("the stream") {
        var reader = many.makeAsyncIterator()
        if let first = try await reader.next() { iterator.add(first) }
        // On this connection, behind the items.
        try await hub.invoke("Add", 1, 1)
        try await hub.invoke("WasCancelled", "none")
        while hub.pendingCalls > 0 { await Task.yield() }
        while let item = try await reader.next() { iterator.add(item) }
      }
      try equal(overflow.kind, .overflow, "too many items")
      try check(iterator.all.count <= 12, "\(iterator.all.count) items were kept")
    },
    Scenario("stream.up") { test in
      for encoding in HubEncoding.allCases {
        let hub = try await test.started { $0.encoding = encoding }
        try equal(await hub.invoke("Sum", Upload(1...100)) as Int, 5_050, "sum")
        let words = AsyncStream<String> { feed in
          ["a", "b", "c"].forEach { feed.yield($0) }
          feed.finish()
        }
        try equal(await hub.invoke("Label", "x", Upload(words)) as String, "x:a,b,c", "label")
        // Both ways at once.
        let (numbers, feed) = AsyncStream.makeStream(of: Int.self)
        var answers = hub.stream("Double", Upload(numbers), of: Int.self).makeAsyncIterator()
        for number in 1...5 {
          feed.yield(number)
          try equal(await answers.next(), number * 2, "item")
        }
        feed.finish()
        try equal(await answers.next(), nil, "the end")
        let failing = AsyncThrowingStream<Int, any Error> { feed in
          feed.yield(1)
          feed.finish(throwing: Broken(text: "out of numbers"))
        }
        let error = try await failure { _ = try await hub.invoke("Sum", Upload(failing)) as Int }
        try equal(
          error, .refused("An unexpected error occurred invoking 'Sum' on the server. HubException: out of numbers"),
          "error")
        let sums = Events<Int>()
        hub.on("sum") { (sum: Int) in sums.push(sum) }
        try await hub.send("SumToCaller", "sum", Upload([20, 22]))
        try equal(await sums.next("the sum"), 42, "sum of what was sent")
        try equal(await hub.invoke("Sum", Upload(1...20_000)) as Int, 200_010_000, "many items")
      }
    },
    Scenario("cancel.stream") { test in
      let hub = try await test.started()
      func wasCancelled(_ key: String) async throws {
        // The server learns of it when it comes to it.
        try await within("the cancel of \(key)") {
          while try await !(hub.invoke("WasCancelled", key) as Bool) {}
        }
      }
      for try await item in hub.stream("Forever", "left", 1, of: Int.self) where item == 3 { break }
      try await wasCancelled("left")
      let items = Events<Int>()
      let task = Task {
        for try await item in hub.stream("Forever", "task", 1, of: Int.self) { items.push(item) }
      }
      _ = try await items.next("an item")
      task.cancel()
      do {
        try await task.value
        throw Failure("the loop ended by itself")
      } catch is CancellationError {}
      try await wasCancelled("task")
      do {
        var iterator = hub.stream("Forever", "dropped", 1, of: Int.self).makeAsyncIterator()
        _ = try await iterator.next()
      }
      try await wasCancelled("dropped")
      try equal(await hub.invoke("Add", 1, 1) as Int, 2, "sum")
    },
  ]
  + HubEncoding.allCases.flatMap { encoding in
    [
      Scenario("volume.push.\(encoding.rawValue)", limit: 120) { test in
        let hub = try await test.started { $0.encoding = encoding }
        let end = Events<Int>()
        let next = Counter()
        hub.on("event") { (number: Int) in
          // One after the other: no lock is needed for the order, only for the counter.
          if next.add() != number + 1 { throw Broken(text: "\(number) came after \(next.value - 2)") }
          if number == 99_999 { end.push(number) }
        }
        let failures = events(of: hub)
        // The server holds no more for a client than so many.
        for first in stride(from: 0, to: 100_000, by: 1_000) {
          try await hub.invoke("PushFrom", "event", first, 1_000)
        }
        _ = try await end.next("the last message", seconds: 100)
        try equal(next.value, 100_000, "messages")
        for case .handlerFailed(_, let error) in failures.all { throw Failure("\(error)") }
      },
      Scenario("volume.stream.\(encoding.rawValue)", limit: 120) { test in
        let hub = try await test.started { $0.encoding = encoding }
        var count = 0
        let options = StreamOptions(buffering: .holdBack)
        for try await item in hub.stream("Count", 100_000, 0, options: options, of: Int.self) {
          try check(item == count, "\(item) came in the place of \(count)")
          count += 1
        }
        try equal(count, 100_000, "items")
      },
    ]
  }
