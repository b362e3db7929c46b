#if canImport(UIKit) && !os(watchOS)
  import Foundation

  /// Tells connections whether the application is seen. Coming back they connect at once, as the device may have slept.
  ///
  /// ```swift
  /// options.hints = [NetworkPathHints(), AppLifecycleHints()]
  /// ```
  ///
  /// It hears of the notifications that also stand behind SwiftUI's scene phase. An application that would rather say it itself
  /// calls ``HubConnection/hint(_:)`` from `onChange(of: scenePhase)`.
  public final class AppLifecycleHints: PlatformHints {
    /// One may serve any number of connections.
    public init() {}

    public func begin(_ report: @escaping @Sendable (Hint) -> Void) -> @Sendable () -> Void {
      let center = NotificationCenter.default
      // By their names: UIKit's constants belong to the main actor.
      let left = Notification.Name("UIApplicationDidEnterBackgroundNotification")
      let back = Notification.Name("UIApplicationWillEnterForegroundNotification")
      // Held by the closure that ends them, and touched by nothing else.
      nonisolated(unsafe) let observers = [
        center.addObserver(forName: left, object: nil, queue: nil) { _ in report(.background) },
        center.addObserver(forName: back, object: nil, queue: nil) { _ in
          report(.foreground)
          report(.resumed)
        },
      ]
      return {
        observers.forEach { NotificationCenter.default.removeObserver($0) }
      }
    }
  }
#endif
