import Foundation

@discardableResult
public func autoreleasepool<Result>(invoking body: () throws -> Result) rethrows -> Result {
  Pools.enter()
  defer { Pools.leave() }
  return try body()
}

/// For tests, and not in the SDK: how many pools there were, and are.
public enum Pools {
  private static let lock = NSLock()
  nonisolated(unsafe) private static var counts = (made: 0, open: 0)

  public static var made: Int { lock.withLock { counts.made } }

  fileprivate static func enter() {
    lock.withLock { counts = (counts.made + 1, counts.open + 1) }
  }

  fileprivate static func leave() {
    lock.withLock { counts.open -= 1 }
  }
}
