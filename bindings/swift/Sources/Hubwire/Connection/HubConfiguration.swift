import Foundation

/// Everything that a connection is told once. What is left alone has Hubwire's default.
public struct HubConfiguration: Sendable {
  /// The address of the hub, with the scheme `http` or `https`.
  public var url: URL
  /// How messages travel.
  public var encoding: HubEncoding = .json
  /// The transports that may be used, or nil for all; the server says in which order.
  public var transports: [HubTransport]?
  /// Connects the WebSocket at once. Only with `transports` of nothing but WebSockets.
  public var skipNegotiation = false
  /// Gives the access token for each connection, or nil for none. A token that cannot be had fails the attempt.
  public var accessToken: (@Sendable () async throws -> String?)?
  /// Renews the token before it expires, without a new connection, if the server can.
  public var tokenRefresh = false
  /// Goes with every HTTP request.
  public var headers: [String: String] = [:]
  /// When to try again.
  public var retry: RetryPolicy = .fullJitter()
  /// Whether calls wait while there is no connection, and where.
  public var outbox = OutboxOptions()
  /// How messages are acknowledged, unpacked and merged.
  public var delivery = DeliveryOptions()
  /// Methods that join something: calls of `join` that succeeded are made again after a new connection.
  public var joins: [JoinRule] = []
  /// Where an earlier connection stood in streams with history: see ``HubConnection/positions()``.
  public var positions: [String] = []
  /// The longest time from making a call to its end, for calls that do not say. None unless set.
  public var callTimeout: Duration?
  /// When nothing was sent for that long, a ping is. Default 15 s.
  public var keepAliveInterval: Duration?
  /// Without a message for that long, the connection is taken for lost. Default 30 s.
  public var serverTimeout: Duration?
  /// The longest time for the handshake. Default 15 s.
  public var handshakeTimeout: Duration?
  /// The longest time for the token, for negotiating and for opening, each.
  public var requestTimeout: Duration?
  /// The longest time for closing in order.
  public var closeTimeout: Duration?
  /// If the server can, goes on with the same connection after a cut; with that room for messages, in bytes.
  public var statefulReconnect: Int?
  /// A hub method without arguments that answers at once, to measure the quality of the connection.
  public var pingMethod: String?
  /// Who the client is over several connections and processes; random unless set. For one connection at a time.
  public var sessionID: String?
  /// Whether a Hubwire server is told that this client understands its extensions.
  public var announcesExtensions = true
  /// The largest message that is accepted, in bytes. Default 16 MiB.
  public var maxMessageSize: Int?
  /// The URL of a proxy; empty for none, whatever the environment says; nil for what that says.
  public var proxy: String?
  /// Certificates of authorities to trust beside the well-known ones, each a PEM text.
  public var rootCertificates: [String] = []
  /// How values become JSON.
  public var json = HubJSON()
  /// What tells the connection of the network and the application. See ``PlatformHints``.
  public var hints: [any PlatformHints] = []
  /// What hears what happens, for people who look for a fault. Called one at a time. At most 1,000 lines wait for
  /// it; more are left out, and counted in a line.
  public var log: (@Sendable (HubLogLevel, String) -> Void)?

  /// The defaults, for that hub.
  public init(url: URL) {
    self.url = url
  }
}

/// How messages travel. The application sees no difference.
public enum HubEncoding: String, Sendable, CaseIterable {
  /// As JSON text.
  case json
  /// As MessagePack.
  case messagePack = "messagepack"
}

/// What carries the messages.
public enum HubTransport: String, Sendable, CaseIterable {
  /// Both ways at once.
  case webSockets = "WebSockets"
  /// A response without end, and requests.
  case serverSentEvents = "ServerSentEvents"
  /// Requests that wait for messages, and requests.
  case longPolling = "LongPolling"
}

/// A method that joins something, and the one that leaves it.
public struct JoinRule: Sendable, Hashable {
  /// What is called again after a new connection.
  public let join: String
  /// What ends that, called with the same arguments.
  public let leave: String?

  /// A rule for those methods.
  public init(join: String, leave: String? = nil) {
    (self.join, self.leave) = (join, leave)
  }
}

/// What may wait for a connection.
public struct OutboxOptions: Sendable {
  /// What happens to a call that does not fit.
  public enum FullPolicy: Sendable, CaseIterable {
    /// It fails with the kind Overflow.
    case reject
    /// The oldest fails instead.
    case dropOldest
    /// It is dropped: the newest fails.
    case dropNewest
  }

  /// How many calls may wait. Default 10,000; 0 turns the outbox off: calls without a connection fail at once.
  public var maxItems: Int?
  /// About how many bytes they may have. Default 16 MiB.
  public var maxBytes: Int?
  /// How many queued calls may be without completion while the queue is emptied. Default 256.
  public var window: Int?
  /// What happens to one more.
  public var whenFull: FullPolicy = .reject
  /// The file of the durable calls, which outlive the process; its folder has to be there. One connection at a time uses it.
  public var store: URL?

  /// The defaults.
  public init() {}
}

/// What happens between the server and the handlers.
public struct DeliveryOptions: Sendable {
  /// Who acknowledges messages.
  public enum Acknowledgement: Sendable, CaseIterable {
    /// The client, when the handlers have ended: one that throws refuses the message.
    case automatic
    /// The application, with ``HubConnection/acknowledge(_:)`` and ``HubConnection/nack(_:reason:)``.
    case manual
    /// Nobody.
    case off
  }

  /// Who acknowledges, where nothing is said of the target. Default automatic.
  public var acknowledgement: Acknowledgement?
  /// Who acknowledges messages of single targets.
  public var targets: [String: Acknowledgement] = [:]
  /// How long acknowledgements are collected.
  public var acknowledgementDelay: Duration?
  /// How many handled messages are recognised when they come again.
  public var acknowledgementWindow: Int?
  /// How many messages may be with handlers at one time.
  public var maxUnacknowledged: Int?
  /// Whether batches become messages. Default true.
  public var unpacksBatches: Bool?
  /// Whether changes are merged. Default true.
  public var mergesDeltas: Bool?
  /// The fields that may name the object of a change.
  public var deltaKeys: [String]?
  /// Of how many objects the state is kept.
  public var maxObjects: Int?
  /// How many bytes they may have.
  public var maxObjectBytes: Int?
  /// How many changes of one object wait for it.
  public var maxHeldDeltas: Int?
  /// Of how many streams the position is remembered.
  public var maxStreams: Int?

  /// The defaults.
  public init() {}
}

/// How much a line of the log matters.
public enum HubLogLevel: Int, Sendable, Comparable, CaseIterable {
  /// For the makers of Hubwire.
  case debug
  /// What happened.
  case info
  /// What one may want to change.
  case warning
  /// What failed.
  case error

  public static func < (left: HubLogLevel, right: HubLogLevel) -> Bool {
    left.rawValue < right.rawValue
  }
}
