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
      let monitor = NWPathMonitor()
      monitor.pathUpdateHandler = { path in
        report(path.status == .unsatisfied ? .offline : .online)
      }
      monitor.start(queue: DispatchQueue(label: "hubwire.network"))
      return { monitor.cancel() }
    }
  }
#endif
