/// What a connection to a hub needs to know of it: give it to a ``HubManager``, or to ``HubConfiguration/apply(_:)``.
public struct HubDefinition: Sendable, Hashable {
  /// Below the address of the server, with a slash in front.
  public let path: String
  /// Methods that join something.
  public let joins: [JoinRule]
  /// A method without arguments that answers at once, to measure the quality of the connection.
  public let pingMethod: String?

  /// The hub at that path.
  public init(path: String, joins: [JoinRule] = [], pingMethod: String? = nil) {
    self.path = path.hasPrefix("/") ? path : "/" + path
    self.joins = joins
    self.pingMethod = pingMethod
  }
}

extension HubDefinition: ExpressibleByStringLiteral {
  public init(stringLiteral path: String) {
    self.init(path: path)
  }
}

extension HubConfiguration {
  /// What is to be known of a hub.
  public mutating func apply(_ hub: HubDefinition) {
    if !hub.joins.isEmpty {
      joins = hub.joins
    }
    if let method = hub.pingMethod {
      pingMethod = method
    }
  }
}
