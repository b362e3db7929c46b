import Foundation
import Hubwire

// What the code in the documentation takes for granted. A block that declares something of these names has its own.

struct Session: Sendable {
  func token() async throws -> String { "" }
}

struct ChatMessage: Codable, Sendable {
  let content: String
}

struct Order: Codable, Sendable {
  let id: String
}

struct Receipt: Codable, Sendable {}

struct Price: Codable, Sendable {}

let session = Session()
let order = Order(id: "1")
let numbers = [1, 2, 3]
let outboxURL = URL(fileURLWithPath: "/outbox")
let hub = try! HubConnection(url: URL(string: "https://example.com/hubs/orders")!)
nonisolated(unsafe) var options = HubConfiguration(url: URL(string: "https://example.com/hubs/orders")!)

func show(_ something: some Any) {}
