import Foundation

/// An argument whose items are sent to the method one after the other:
///
/// ```swift
/// let sum = try await hub.invoke("Sum", Upload(numbers)) as Int
/// ```
///
/// Items are asked for once the call was sent, and as fast as they leave. An error of the sequence fails the upload; the end of
/// the call cancels the task that reads it.
public struct Upload: Encodable, Sendable {
  /// Reads all items and hands each on, encoded.
  let drain: @Sendable (Codec, @Sendable (Data) async throws -> Void) async throws -> Void

  /// The items of a sequence that comes with time.
  public init<Items: AsyncSequence & Sendable>(_ items: Items) where Items.Element: Encodable {
    drain = { codec, send in
      for try await item in items {
        try await send(codec.encode(item))
      }
    }
  }

  /// Items that are there.
  public init<Items: Sequence & Sendable>(_ items: Items) where Items.Element: Encodable {
    drain = { codec, send in
      for item in items {
        try await send(codec.encode(item))
      }
    }
  }

  /// An upload is an argument, and no part of one: throws.
  public func encode(to encoder: any Encoder) throws {
    throw HubError.misuse("An upload can only be an argument of its own.")
  }
}
