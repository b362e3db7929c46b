import Foundation
import Hubwire

/// The chat for the terminal: what one types the other sees, also behind a server that was away.
func examples(_ files: Files) -> [Scenario] {
  guard let program = files.example else { return [] }
  return [
    Scenario("own.example.chat") { test in
      let conversation = "example-\(UUID().uuidString)"
      let url = test.proxy.url("/hubs/chat").absoluteString
      var chats: [Program] = []
      func open(_ user: String) async throws -> Program {
        let chat = try Program(program, [url, Token.user(user), conversation])
        chats.append(chat)
        _ = try await chat.line("that \(user) is in") { $0 == "[in \(conversation)]" }
        return chat
      }
      do {
        let ann = try await open("ann")
        let ben = try await open("ben")
        _ = try await ann.line("that the other came") { $0 == "ben is here" }
        ben.write("hello")
        _ = try await ann.line("the message") { $0 == "ben: hello" }
        try await test.proxy.cut()
        // Who hears herself is in the conversation again.
        ann.write("back")
        _ = try await ann.line("her own message") { $0 == "ann: back" }
        ben.write("still here?")
        _ = try await ann.line("the message behind the cut") { $0 == "ben: still here?" }
        try await ben.stop()
        try await ann.stop()
      } catch {
        for chat in chats { try await chat.kill() }
        throw error
      }
    }
  ]
}
