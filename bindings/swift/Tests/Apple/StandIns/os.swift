import Foundation

/// What may be seen of a value in the log.
@available(macOS 11.0, iOS 14.0, watchOS 7.0, tvOS 14.0, *)
public struct OSLogPrivacy: Sendable {
  fileprivate let isHidden: Bool

  public static var `public`: OSLogPrivacy { OSLogPrivacy(isHidden: false) }
  public static var `private`: OSLogPrivacy { OSLogPrivacy(isHidden: true) }
  public static var auto: OSLogPrivacy { OSLogPrivacy(isHidden: true) }
}

/// A text with values in it. Here only texts are values, and one that is not public is left out.
@available(macOS 11.0, iOS 14.0, watchOS 7.0, tvOS 14.0, *)
public struct OSLogInterpolation: StringInterpolationProtocol {
  fileprivate var text = ""

  public init(literalCapacity: Int, interpolationCount: Int) {}

  public mutating func appendLiteral(_ literal: String) {
    text += literal
  }

  public mutating func appendInterpolation(
    _ argumentString: @autoclosure @escaping () -> String, privacy: OSLogPrivacy = .auto
  ) {
    text += privacy.isHidden ? "<private>" : argumentString()
  }
}

@available(macOS 11.0, iOS 14.0, watchOS 7.0, tvOS 14.0, *)
public struct OSLogMessage: ExpressibleByStringInterpolation, ExpressibleByStringLiteral {
  fileprivate let text: String

  public init(stringInterpolation: OSLogInterpolation) {
    text = stringInterpolation.text
  }

  public init(stringLiteral value: String) {
    text = value
  }
}

@available(macOS 11.0, iOS 14.0, watchOS 7.0, tvOS 14.0, *)
public struct Logger {
  private let state: State

  public init(subsystem: String, category: String) {
    state = State("\(subsystem)/\(category)")
  }

  public func debug(_ message: OSLogMessage) { SystemLog.add("\(state.name) debug: \(message.text)") }
  public func info(_ message: OSLogMessage) { SystemLog.add("\(state.name) info: \(message.text)") }
  public func warning(_ message: OSLogMessage) { SystemLog.add("\(state.name) warning: \(message.text)") }
  public func error(_ message: OSLogMessage) { SystemLog.add("\(state.name) error: \(message.text)") }
}

#if !OLDER_SDK
  @available(macOS 11.0, iOS 14.0, watchOS 7.0, tvOS 14.0, *)
  extension Logger: @unchecked Sendable {}
#endif

/// A reference, so that a logger is not `Sendable` by itself.
private final class State {
  let name: String

  init(_ name: String) {
    self.name = name
  }
}

/// For tests, and not in the SDK: what was logged.
public enum SystemLog {
  private static let lock = NSLock()
  nonisolated(unsafe) private static var all: [String] = []

  public static var lines: [String] { lock.withLock { all } }

  fileprivate static func add(_ line: String) {
    lock.withLock { all.append(line) }
  }
}
