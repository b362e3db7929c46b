#if canImport(Network)
  import Dispatch
  import Network

  /// Tells connections whether there is a network, as the system sees it: without one they wait, with one they connect at once.
  ///
  /// ```swift
  /// options.hints = [NetworkPathHints()]
  /// ```
  public final class NetworkPathHints: PlatformHints {
    /// One may serve any number of connections.
    public init() {}

    public func begin(_ report: @escaping @Sendable (Hint) -> Void) -> @Sendable () -> Void {
      // Not every SDK says that a monitor may be used on any thread.
      let monitor = Locked(NWPathMonitor())
      monitor.withLock {
        $0.pathUpdateHandler = { path in
          report(path.status == .unsatisfied ? .offline : .online)
        }
        $0.start(queue: DispatchQueue(label: "hubwire.network"))
      }
      return { monitor.withLock { $0.cancel() } }
    }
  }
#endif
