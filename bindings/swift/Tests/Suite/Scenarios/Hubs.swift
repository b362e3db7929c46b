import Foundation
import Hubwire

let hubs: [Scenario] = [
  Scenario("manager") { test in
    var options = HubManagerOptions()
    options.maxConnections = 1
    options.idleAfter = .milliseconds(50)
    options.configure = { configuration, _ in configuration.retry = .quick }
    let manager = try HubManager(baseURL: test.server.url("/"), options: options)
    let first = try await within("the hub") { try await manager.connect("/hubs/interop") }
    try equal(first.state, .connected, "state")
    try check(try await manager.hub("/hubs/interop") === first, "another connection for the same hub")
    let error = try await failure("a second hub") { _ = try await manager.connect("/hubs/delivery") }
    try equal(error.kind, .overflow, "\(error)")
    try check(error.message.hasPrefix("/hubs/delivery: ") && error.message.contains("maxConnections"), "\(error)")
    let states = changes(of: first)
    manager.release("/hubs/interop")
    manager.release("/hubs/interop")
    try await states.reach(.disconnected)
    let second = try await within("a second hub") { try await manager.connect("/hubs/delivery") }
    try equal(second.state, .connected, "state")
    try equal(await manager.states["/hubs/delivery"], .connected, "state")
    // The first one takes the place back once nobody needs the second.
    let refused = try await failure("the first hub") { _ = try await manager.connect("/hubs/interop") }
    try equal(refused.kind, .overflow, "\(refused)")
    manager.release("/hubs/delivery")
    let again = try await within("the first hub") { try await manager.connect("/hubs/interop") }
    try check(again === first, "another connection for the same hub")
    try equal(await again.invoke("Add", 1, 1) as Int, 2, "sum")
    let results = await manager.connectAll(["/hubs/interop", "/hubs/nowhere"])
    try equal(results.map(\.path), ["/hubs/interop", "/hubs/nowhere"], "paths")
    guard case .success = results[0].connection, case .failure = results[1].connection else {
      throw Failure("\(results)")
    }
    await manager.disconnectAll()
    try equal(first.state, .disconnected, "state")
    options.maxConnections = 0
    try equal(
      try await failure { [options] in _ = try HubManager(baseURL: test.server.url("/"), options: options) }.kind, .misuse,
      "no connection at all")
  },
  Scenario("hub.chat") { test in
    func open(_ user: String) async throws -> ChatHubClient {
      let hub = try test.hub(test.server.url("/hubs/chat")) {
        $0.apply(.chat)
        $0.accessToken = { Token.user(user) }
      }
      try await hub.start()
      return ChatHubClient(hub)
    }
    let (ann, ben) = (try await open("ann"), try await open("ben"))
    let conversation = "swift-\(UUID().uuidString)"
    let (joined, said, writing) = (Events<Membership>(), Events<ChatMessage>(), Events<TypingUpdate>())
    let (edited, deleted) = (Events<ChatMessage>(), Events<MessageDeleted>())
    ann.onUserJoined { joined.push($0) }
    ann.onTyping { writing.push($0) }
    ben.onMessage { said.push($0) }
    ben.onEdited { edited.push($0) }
    ben.onDeleted { deleted.push($0) }
    try await ann.join(conversation)
    try await ben.join(conversation)
    let who = try await joined.next("the other") { $0.userId == "ben" }
    try equal(who.type, .joined, "type")
    let message = try await ann.sendMessage("hello", to: conversation)
    try equal(message.content, "hello", "content")
    try equal(await said.next("the message"), message, "message")
    try check(abs(message.timestamp.timeIntervalSinceNow) < 60, "\(message.timestamp)")
    ben.startTyping(in: conversation)
    ben.startTyping(in: conversation)
    _ = try await writing.next("who writes") { $0.typingUsers == ["ben"] }
    ben.stopTyping(in: conversation)
    _ = try await writing.next("that nobody writes") { $0.typingUsers.isEmpty }
    try await ann.editMessage(message.messageId, in: conversation, to: "hello, ben")
    try equal(await edited.next("the change").content, "hello, ben", "content")
    try await ann.deleteMessage(message.messageId, in: conversation)
    try equal(await deleted.next("the end of the message").messageId, message.messageId, "id")
    try await ben.leave(conversation)
  },
  Scenario("hub.tasks") { test in
    let hub = try test.hub(test.server.url("/hubs/tasks")) {
      $0.apply(.tasks)
      $0.accessToken = { Token.user("ann", #","VirtualKeyId":"7""#) }
    }
    try await hub.start()
    let driver = try test.hub(test.server.url("/hubs/delivery"))
    try await driver.start()
    let tasks = TaskHubClient(hub)
    let (progress, ended) = (Events<TaskProgress>(), Events<TaskCompleted>())
    tasks.onProgress { progress.push($0) }
    tasks.onCompleted { ended.push($0) }
    let id = "swift-\(UUID().uuidString)"
    try await driver.invoke("StartTask", id, "research")
    try await tasks.subscribe(toTask: id)
    try await driver.invoke("Progress", id, 50)
    _ = try await progress.next("half of it") { $0.taskId == id && $0.progressPercentage == 50 }
    try await driver.invoke("CompleteTask", id, ["answer": 42])
    let end = try await ended.next("the end")
    try equal(end.taskId, id, "id")
    try equal(end.result?["answer"], .integer(42), "result")
    try check(abs(try await tasks.ping().timeIntervalSinceNow) < 60, "the time of the server")
  },
]
