import Foundation
import Hubwire

/// A request that the server noted.
private struct SeenRequest: Decodable, Sendable {
  let kind: String
  /// By their names in lower case.
  let headers: [String: String]
}

let connecting: [Scenario] =
  HubTransport.allCases.flatMap { transport in
    HubEncoding.allCases.map { encoding in
      Scenario("connect.\(transport.rawValue).\(encoding.rawValue)") { test in
        if transport == .serverSentEvents, encoding == .messagePack {
          // Servers do not offer it, and clients do not try.
          let hub = try test.hub {
            $0.transports = [transport]
            $0.encoding = encoding
            $0.retry = .never
          }
          let error = try await failure("the start") { try await hub.start() }
          try equal(error.kind, .refused, "\(error)")
          return
        }
        let hub = try await test.started {
          $0.transports = [transport]
          $0.encoding = encoding
        }
        try equal(hub.state, .connected, "state")
        try check(hub.connectionID != nil, "there is no connection id")
        try equal(await hub.invoke("ConnectionId") as String, hub.connectionID!, "connection id")
        try equal(await hub.invoke("Add", 1, 2) as Int, 3, "sum")
        await hub.stop()
        try equal(hub.state, .disconnected, "state")
        try equal(hub.connectionID, nil, "connection id")
        // The same object connects again.
        try await hub.start()
        try equal(await hub.invoke("Add", 2, 2) as Int, 4, "sum")
      }
    }
  } + [
    Scenario("token") { test in
      let count = Counter()
      let hub = try test.proxied {
        $0.accessToken = {
          count.add()
          return Token.user("alice")
        }
      }
      let states = changes(of: hub)
      try await hub.start()
      try equal(await hub.invoke("UserId") as String, "alice", "user")
      try check(count.value >= 1, "the token was not asked for")
      let before = count.value
      try await test.proxy.cut()
      try await states.reach(.reconnecting)
      try await states.reach(.connected)
      try check(count.value > before, "no token was asked for the second connection")
      try equal(await hub.invoke("UserId") as String, "alice", "user")
      struct NoToken: LocalizedError { var errorDescription: String? { "the key is lost" } }
      let without = try test.hub {
        $0.accessToken = { throw NoToken() }
        $0.retry = .never
      }
      let error = try await failure("the start") { try await without.start() }
      try check(error.message.contains("the key is lost"), "\(error)")
    },
    Scenario("headers") { test in
      let asker = try await test.started()
      let origin = try await asker.invoke("Watched") as String
      let headers = [
        "Authorization": "Bearer \(Token.user("bob"))", "Cookie": "a=b", "User-Agent": "mine/1", "X-Test": "one",
      ]
      for transport in HubTransport.allCases {
        let key = "headers-\(UUID().uuidString)"
        let hub = try test.hub(URL(string: "\(origin)/hubs/interop?key=\(key)")!) {
          $0.transports = [transport]
          $0.headers = headers
        }
        try await within("the start") { try await hub.start() }
        try equal(await hub.invoke("UserId") as String, "bob", "user over \(transport)")
        await hub.stop()
        var kinds: Set<String> = ["negotiate", transport.rawValue]
        if transport != .webSockets { kinds.insert("send") }
        if transport == .longPolling { kinds.insert("delete") }
        let seen = try await until("all requests over \(transport)") { [kinds] in
          let seen = try await asker.invoke("Requests", key) as [SeenRequest]
          return Set(seen.map(\.kind)) == kinds ? seen : nil
        }
        for request in seen {
          for (name, value) in headers {
            try equal(request.headers[name.lowercased()], value, "\(name) of \(request.kind) over \(transport)")
          }
        }
      }
      // Without one of the application there is one of the library.
      let hub = try test.hub(URL(string: "\(origin)/hubs/interop?key=agent")!)
      try await hub.start()
      for request in try await asker.invoke("Requests", "agent") as [SeenRequest] {
        let agent = request.headers["user-agent"]
        try check(agent?.hasPrefix("Hubwire/") == true, "the user agent of \(request.kind) is \(agent ?? "nothing")")
      }
      let wrong = try await failure { _ = try test.hub { $0.headers = ["not a name": "x"] } }
      try equal(wrong.kind, .misuse, "\(wrong)")
    },
    Scenario("misuse") { test in
      let url = test.server.url()
      func refused(_ what: String, _ word: String, _ configure: (inout HubConfiguration) -> Void) async throws {
        let error = try await failure(what) { _ = try test.hub(url, configure) }
        try equal(error.kind, .misuse, what)
        try check(error.message.contains(word), "\(what): \(error)")
      }
      try await refused("a negative time", "keepAliveInterval") { $0.keepAliveInterval = .seconds(-1) }
      try await refused("a negative number", "maxItems") { $0.outbox.maxItems = -1 }
      try await refused("a store that is no file", "store") { $0.outbox.store = URL(string: "https://example.com/x") }
      try await refused("a position that is none", "nonsense") { $0.positions = ["nonsense"] }
      let hub = try await test.started()
      let second = try await failure("a second start") { try await hub.start() }
      try equal(second.kind, .misuse, "a second start")
      try equal(await hub.invoke("Add", 1, 1) as Int, 2, "sum after that")
      struct Unencodable: Encodable, Sendable {
        func encode(to encoder: any Encoder) throws {
          throw EncodingError.invalidValue(0, .init(codingPath: [], debugDescription: "never"))
        }
      }
      let argument = try await failure { try await hub.invoke("Echo", Unencodable()) }
      try equal(argument.kind, .misuse, "an argument that cannot be encoded")
      try check(argument.message.contains("Argument 1 of 'Echo'"), "\(argument)")
      try equal(try await failure { try hub.reconfigure(serverTimeout: .zero) }.kind, .misuse, "a time of zero")
      let result = try await failure { _ = try await hub.invoke("Add", 1, 1) as String }
      try equal(result.kind, .protocolViolation, "a result of another type")
      try check(result.message.contains("The result of 'Add' is of another type"), "\(result)")
      await hub.stop()
      await hub.stop()
      hub.close()
      hub.close()
      try equal(try await failure { try await hub.start() }.kind, .misuse, "a start after the end")
      try equal(try await failure { try await hub.invoke("Add", 1, 1) }.kind, .misuse, "a call after the end")
      try equal(try await failure { _ = try await hub.metrics() }.kind, .misuse, "metrics after the end")
      hub.hint(.online)
      hub.acknowledge("x")
      await hub.stop()
      try equal(hub.state, .disconnected, "state")
    },
    Scenario("quality") { test in
      let hub = try await test.started { $0.keepAliveInterval = .milliseconds(100) }
      let trip = try await until("the round trip") { try await hub.metrics().quality.roundTrip }
      try check(trip >= .zero && trip < .seconds(10), "\(trip)")
      try equal(hub.quality.grade, .good, "grade")
      let before = try await hub.metrics()
      try await hub.invoke("Add", 1, 1)
      let metrics = try await hub.metrics()
      try equal(metrics.connections, 1, "connections")
      try check(metrics.messagesSent > before.messagesSent, "messages sent")
      try check(metrics.messagesReceived > before.messagesReceived, "messages received")
      try check(metrics.connectLatency != nil, "no latency")
      try equal(metrics.outbox.depth, 0, "depth")
      let happened = events(of: hub)
      await hub.stop()
      let event = try await happened.next("the loss") { if case .qualityChanged = $0 { true } else { false } }
      guard case .qualityChanged(let quality) = event else { throw Failure("\(event)") }
      try equal(quality.grade, .lost, "grade")
    },
  ]
