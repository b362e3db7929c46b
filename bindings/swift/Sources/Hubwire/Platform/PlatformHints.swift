/// What tells a connection of the network and the application: ``HubConfiguration/hints``. See `NetworkPathHints` and
/// `AppLifecycleHints` on Apple's platforms.
public protocol PlatformHints: AnyObject, Sendable {
  /// Begins to report what it knows, and what changes. Called once for each connection, on any thread.
  /// What it returns ends that, and is called when the connection is closed or freed.
  func begin(_ report: @escaping @Sendable (Hint) -> Void) -> @Sendable () -> Void
}
