import Foundation
internal import HubwireFFI

/// An error of Hubwire. The case says whose fault it is; the text is for people.
///
/// A task that was cancelled throws Swift's `CancellationError` instead.
public enum HubError: Error, Hashable, Sendable {
  /// The caller's.
  case misuse(String)
  /// The server broke the rules, or sent something of another type than was asked for.
  case protocolViolation(String)
  /// The server said no, with its text.
  case refused(String)
  /// The network's.
  case network(String)
  /// It took too long.
  case timeout(String)
  /// It was taken back, or the connection ended.
  case cancelled(String)
  /// A limit of this client was reached.
  case overflow(String)
  /// Messages were lost.
  case gap(String)
  /// It was sent and not answered: it may have run or not.
  case outcomeUnknown(String)
}

extension HubError {
  /// The name of the case, the same in every language of Hubwire.
  public enum Kind: String, Sendable, CaseIterable {
    case misuse = "Misuse"
    case protocolViolation = "Protocol"
    case refused = "Refused"
    case network = "Network"
    case timeout = "Timeout"
    case cancelled = "Cancelled"
    case overflow = "Overflow"
    case gap = "Gap"
    case outcomeUnknown = "OutcomeUnknown"
  }

  /// Whose fault it is.
  public var kind: Kind { parts.0 }

  /// What happened, for people.
  public var message: String { parts.1 }

  private var parts: (Kind, String) {
    switch self {
    case .misuse(let text): (.misuse, text)
    case .protocolViolation(let text): (.protocolViolation, text)
    case .refused(let text): (.refused, text)
    case .network(let text): (.network, text)
    case .timeout(let text): (.timeout, text)
    case .cancelled(let text): (.cancelled, text)
    case .overflow(let text): (.overflow, text)
    case .gap(let text): (.gap, text)
    case .outcomeUnknown(let text): (.outcomeUnknown, text)
    }
  }

  /// An error of that kind.
  public init(kind: Kind, message: String) {
    switch kind {
    case .misuse: self = .misuse(message)
    case .protocolViolation: self = .protocolViolation(message)
    case .refused: self = .refused(message)
    case .network: self = .network(message)
    case .timeout: self = .timeout(message)
    case .cancelled: self = .cancelled(message)
    case .overflow: self = .overflow(message)
    case .gap: self = .gap(message)
    case .outcomeUnknown: self = .outcomeUnknown(message)
    }
  }
}

extension HubError: LocalizedError, CustomStringConvertible {
  public var description: String { "\(kind.rawValue): \(message)" }
  public var errorDescription: String? { message }
}

/// What is said of an error to the server, and in texts.
func reason(of error: any Error) -> String {
  switch error {
  case let error as HubError: error.message
  case is CancellationError: "It was cancelled."
  case let error as any LocalizedError: error.errorDescription ?? String(describing: error)
  default: String(describing: error)
  }
}

extension HubError {
  init(_ fault: HubwireFFI.Fault) {
    self.init(kind: Kind(fault.kind), message: fault.reason)
  }

  /// What a command threw.
  init(failure: any Error) {
    switch failure {
    case HubwireFFI.HubFailure.Failed(let kind, let reason):
      self.init(kind: Kind(kind), message: reason)
    case let error as HubError:
      self = error
    default:
      self = .protocolViolation(reason(of: failure))
    }
  }
}

extension HubError.Kind {
  init(_ kind: HubwireFFI.ErrorKind) {
    switch kind {
    case .misuse: self = .misuse
    case .protocol: self = .protocolViolation
    case .refused: self = .refused
    case .network: self = .network
    case .timeout: self = .timeout
    case .cancelled: self = .cancelled
    case .overflow: self = .overflow
    case .gap: self = .gap
    case .outcomeUnknown: self = .outcomeUnknown
    }
  }
}
