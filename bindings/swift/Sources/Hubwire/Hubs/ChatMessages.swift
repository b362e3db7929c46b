import Foundation

/// A message of a conversation.
public struct ChatMessage: Codable, Hashable, Sendable {
  public let messageId: String
  public let conversationId: String
  public let userId: String
  public let content: String
  public let timestamp: Date
  /// False where nothing is said of it.
  public let edited: Bool
}

extension ChatMessage {
  public init(from decoder: any Decoder) throws {
    let fields = try decoder.container(keyedBy: CodingKeys.self)
    messageId = try fields.decode(String.self, forKey: .messageId)
    conversationId = try fields.decode(String.self, forKey: .conversationId)
    userId = try fields.decode(String.self, forKey: .userId)
    content = try fields.decode(String.self, forKey: .content)
    timestamp = try fields.decode(Date.self, forKey: .timestamp)
    edited = try fields.decodeIfPresent(Bool.self, forKey: .edited) ?? false
  }
}

/// Somebody came or went.
public struct Membership: Codable, Hashable, Sendable {
  /// Which of the two.
  public enum Change: String, Codable, Sendable {
    case joined = "user_joined"
    case left = "user_left"
  }

  public let conversationId: String
  public let userId: String
  public let type: Change
  public let timestamp: Date
}

/// Who is writing, after a change of that.
public struct TypingUpdate: Codable, Hashable, Sendable {
  public let conversationId: String
  public let typingUsers: [String]
  public let timestamp: Date
}

/// A message was deleted.
public struct MessageDeleted: Codable, Hashable, Sendable {
  public let conversationId: String
  public let messageId: String
  public let deletedBy: String
  public let timestamp: Date
}

/// Somebody has read as far as that.
public struct ConversationUpdated: Codable, Hashable, Sendable {
  public let conversationId: String
  public let userId: String
  public let lastReadMessageId: String
  public let timestamp: Date
}
