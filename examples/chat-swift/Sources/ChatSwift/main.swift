// A chat on the command line: `ChatSwift URL TOKEN [CONVERSATION]`, for example
// `ChatSwift http://127.0.0.1:8080/hubs/chat "$(hubwire-server token --user alice)"`. What you type is sent; `/edit TEXT` changes
// your last message, `/delete` takes it back, Ctrl-D leaves.
import Foundation
import Hubwire

let arguments = CommandLine.arguments
guard arguments.count >= 3, let url = URL(string: arguments[1]) else {
  print("usage: ChatSwift URL TOKEN [CONVERSATION]")
  exit(2)
}
let token = arguments[2]
let conversation = arguments.count > 3 ? arguments[3] : "general"

/// One line, at once, also into a pipe.
@Sendable func say(_ text: String) {
  FileHandle.standardOutput.write(Data((text + "\n").utf8))
}

let hub = try HubConnection(url: url) { options in
  options.apply(.chat)
  options.accessToken = { token }
}
let chat = ChatHubClient(hub)

chat.onMessage { say("\($0.userId): \($0.content)") }
chat.onEdited { say("\($0.userId) corrects: \($0.content)") }
chat.onDeleted { say("\($0.deletedBy) has deleted a message") }
chat.onUserJoined { say("\($0.userId) is here") }
chat.onUserLeft { say("\($0.userId) has left") }
chat.onTyping { update in
  if !update.typingUsers.isEmpty {
    say("(\(update.typingUsers.joined(separator: ", ")) …)")
  }
}

let changes = hub.stateChanges
Task {
  for await change in changes {
    if case .failed(let error) = change.cause {
      say("[\(change.new.rawValue): \(error.message)]")
    } else {
      say("[\(change.new.rawValue)]")
    }
  }
}

/// The lines of standard input. Reading blocks, so it has a thread of its own.
let lines = AsyncStream<String> { feed in
  Thread.detachNewThread {
    while let line = readLine() { feed.yield(line) }
    feed.finish()
  }
}

// It tries until there is a server.
try await hub.start()
try await chat.join(conversation)
say("[in \(conversation)]")

var last: ChatMessage?
for await line in lines {
  do {
    if line.hasPrefix("/edit "), let message = last {
      try await chat.editMessage(message.messageId, in: conversation, to: String(line.dropFirst(6)))
    } else if line == "/delete", let message = last {
      try await chat.deleteMessage(message.messageId, in: conversation)
    } else if !line.isEmpty {
      last = try await chat.sendMessage(line, to: conversation)
    }
  } catch let error as HubError {
    say("[\(error)]")
  }
}
try await chat.leave(conversation)
await hub.stop()
