import Dispatch
import Foundation

/// What a connection would go over, as far as `NetworkPathHints` looks.
@available(macOS 10.14, iOS 12.0, watchOS 5.0, tvOS 12.0, *)
public struct NWPath: Sendable, Equatable {
  public enum Status: Sendable {
    case satisfied
    case unsatisfied
    case requiresConnection
  }

  public let status: NWPath.Status
}

/// It tells its handler the path when it is started, and each new one until it is cancelled, on its queue.
@available(macOS 10.14, iOS 12.0, watchOS 5.0, tvOS 12.0, *)
public final class NWPathMonitor {
  #if OLDER_SDK
    public var pathUpdateHandler: ((_ newPath: NWPath) -> Void)?
  #else
    @preconcurrency public var pathUpdateHandler: (@Sendable (_ newPath: NWPath) -> Void)? {
      get { lock.withLock { handler } }
      set { lock.withLock { handler = newValue } }
    }

    private var handler: (@Sendable (NWPath) -> Void)?
  #endif

  private let lock = NSLock()
  private var queue: DispatchQueue?

  public init() {}

  public func start(queue: DispatchQueue) {
    lock.withLock { self.queue = queue }
    Surroundings.add(self)
  }

  public func cancel() {
    Surroundings.remove(self)
  }

  fileprivate func tell(_ status: NWPath.Status) {
    #if !OLDER_SDK
      let (queue, handler) = lock.withLock { (self.queue, self.handler) }
      queue?.async { handler?(NWPath(status: status)) }
    #endif
  }
}

#if !OLDER_SDK
  @available(macOS 10.14, iOS 12.0, watchOS 5.0, tvOS 12.0, *)
  extension NWPathMonitor: @unchecked Sendable {}
#endif

/// For tests, and not in the SDK: what the device has, and who looks.
public enum Surroundings {
  private struct State {
    var status = NWPath.Status.satisfied
    var monitors: [NWPathMonitor] = []
  }

  private static let lock = NSLock()
  nonisolated(unsafe) private static var state = State()

  /// From now on the path is that one.
  public static func change(to status: NWPath.Status) {
    lock.withLock {
      state.status = status
      state.monitors.forEach { $0.tell(status) }
    }
  }

  /// How many monitors are started and not cancelled.
  public static var monitors: Int { lock.withLock { state.monitors.count } }

  fileprivate static func add(_ monitor: NWPathMonitor) {
    lock.withLock {
      state.monitors.append(monitor)
      monitor.tell(state.status)
    }
  }

  fileprivate static func remove(_ monitor: NWPathMonitor) {
    lock.withLock { state.monitors.removeAll { $0 === monitor } }
  }
}
