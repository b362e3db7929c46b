import Foundation
internal import HubwireFFI

#if canImport(ObjectiveC)
  import ObjectiveC
#endif

/// The connections of the process by number, and the one thread that reads for all of them.
final class Registry: Sendable {
  static let shared = Registry()

  private struct Weak {
    weak var connection: HubConnection?
  }

  private let connections = Locked<[UInt64: Weak]>([:])

  /// Makes the core's connection of one of ours. Whatever comes for it comes when this has returned: the lock is held.
  func connect(_ connection: HubConnection, settings: HubwireFFI.Settings) throws {
    let opened = try connections.withLock { connections -> HubwireFFI.Opened in
      let opened = try HubwireFFI.connect(settings: settings)
      connections[opened.connection.number()] = Weak(connection: connection)
      connection.adopt(opened.connection)
      return opened
    }
    if let reader = opened.reader {
      read(reader)
    }
  }

  func forget(_ number: UInt64) {
    _ = connections.withLock { $0.removeValue(forKey: number) }
  }

  private func read(_ reader: HubwireFFI.Reader) {
    let thread = Thread { [self] in
      // Here and not before it starts: elsewhere than on Apple's platforms only a running thread takes it.
      Thread.current.name = "hubwire"
      while let batches = pooled({ reader.next() }) {
        for batch in batches {
          pooled { hand(batch) }
        }
      }
    }
    thread.stackSize = 2 << 20
    thread.start()
  }

  private func hand(_ batch: HubwireFFI.Batch) {
    guard var connection = connections.withLock({ $0[batch.connection]?.connection }) else { return }
    connection.follow(batch.notices)
    if isKnownUniquelyReferenced(&connection) {
      letGo(connection)
    }
  }
}

/// Lets go of something elsewhere: with it goes what the application gave, whose `deinit`s are not for the reading thread.
func letGo(_ object: sending (any AnyObject & Sendable)?) {
  if let object {
    DispatchQueue.global().async { withExtendedLifetime(object) {} }
  }
}

/// A thread of ours has no pool of its own on Apple's platforms.
private func pooled<Result>(_ body: () -> Result) -> Result {
  #if canImport(ObjectiveC)
    autoreleasepool(invoking: body)
  #else
    body()
  #endif
}
