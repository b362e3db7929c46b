import Foundation

extension HubDefinition {
  /// The chat hub. Conversations that were joined are joined again after a new connection.
  public static let chat = HubDefinition(
    path: "/hubs/chat", joins: [JoinRule(join: "JoinConversation", leave: "LeaveConversation")])
}

/// A client of ``HubDefinition/chat``.
public final class ChatHubClient: Sendable {
  /// For everything that is not about this hub: start, stop, states, events.
  public let connection: HubConnection
  private let typing: TypingSignal

  /// On a connection that was configured with ``HubDefinition/chat``.
  public init(_ connection: HubConnection) {
    self.connection = connection
    // Of no use later: whoever writes is still writing when the connection is back.
    let options = CallOptions(queues: false)
    typing = TypingSignal(
      start: { [weak connection] in _ = connection?.sendCall("StartTyping", $0, options: options) },
      stop: { [weak connection] in _ = connection?.sendCall("StopTyping", $0, options: options) })
  }

  private struct Draft: Encodable, Sendable {
    let conversationId: String
    let content: String
    let messageId: String
  }

  private struct Edit: Encodable, Sendable {
    let conversationId: String
    let messageId: String
    let newContent: String
  }

  private struct Reference: Encodable, Sendable {
    let conversationId: String
    let messageId: String
  }

  /// Sends a message to a conversation that was joined; returns it as everybody gets it. `messageID` is chosen at random unless
  /// set; a durable one outlives the process, and the task that waits for it.
  @discardableResult
  public func sendMessage(
    _ content: String, to conversation: String, messageID: String = UUID().uuidString.lowercased(),
    isDurable: Bool = false
  ) async throws -> ChatMessage {
    // For the server it ends the writing.
    typing.forget(conversation)
    let draft = Draft(conversationId: conversation, content: content, messageId: messageID)
    guard isDurable else { return try await connection.invoke("SendMessage", draft) }
    return try await connection.call("SendMessage", draft, options: CallOptions(isDurable: true), returning: ChatMessage.self).value
  }

  /// Begins to hear of a conversation.
  public func join(_ conversation: String) async throws {
    // Before what an earlier process has left in the outbox: nothing can be said where one has not joined.
    try await connection.invoke("JoinConversation", conversation, options: CallOptions(priority: .critical))
  }

  /// Ends that.
  public func leave(_ conversation: String) async throws {
    typing.forget(conversation)
    try await connection.invoke("LeaveConversation", conversation)
  }

  /// The user has pressed a key. The others see it at once, and until 3 s after the last call, ``stopTyping(in:)`` or a message.
  public func startTyping(in conversation: String) {
    typing.start(conversation)
  }

  /// The user does not write any more.
  public func stopTyping(in conversation: String) {
    typing.stop(conversation)
  }

  /// Changes a message of one's own.
  public func editMessage(_ messageID: String, in conversation: String, to content: String) async throws {
    let edit = Edit(conversationId: conversation, messageId: messageID, newContent: content)
    try await connection.invoke("EditMessage", edit)
  }

  /// Deletes a message of one's own.
  public func deleteMessage(_ messageID: String, in conversation: String) async throws {
    try await connection.invoke("DeleteMessage", Reference(conversationId: conversation, messageId: messageID))
  }

  /// Says that the user has read as far as that.
  public func markAsRead(_ messageID: String, in conversation: String) async throws {
    try await connection.invoke("MarkAsRead", Reference(conversationId: conversation, messageId: messageID))
  }

  /// Somebody said something. As ``HubConnection/on(_:_:)``, and so are the others.
  @discardableResult
  public func onMessage(_ handler: @escaping @Sendable (ChatMessage) async throws -> Void) -> Registration {
    connection.on("ReceiveMessage", handler)
  }

  /// A message was changed.
  @discardableResult
  public func onEdited(_ handler: @escaping @Sendable (ChatMessage) async throws -> Void) -> Registration {
    connection.on("MessageEdited", handler)
  }

  /// A message was deleted.
  @discardableResult
  public func onDeleted(_ handler: @escaping @Sendable (MessageDeleted) async throws -> Void) -> Registration {
    connection.on("MessageDeleted", handler)
  }

  /// Somebody came.
  @discardableResult
  public func onUserJoined(_ handler: @escaping @Sendable (Membership) async throws -> Void) -> Registration {
    connection.on("UserJoined", handler)
  }

  /// Somebody went.
  @discardableResult
  public func onUserLeft(_ handler: @escaping @Sendable (Membership) async throws -> Void) -> Registration {
    connection.on("UserLeft", handler)
  }

  /// Somebody began or stopped to write.
  @discardableResult
  public func onTyping(_ handler: @escaping @Sendable (TypingUpdate) async throws -> Void) -> Registration {
    connection.on("TypingUpdate", handler)
  }

  /// Somebody has read something.
  @discardableResult
  public func onConversationUpdated(
    _ handler: @escaping @Sendable (ConversationUpdated) async throws -> Void
  ) -> Registration {
    connection.on("ConversationUpdated", handler)
  }
}
