#if canImport(os)
  import os
#endif

/// Ready-made values for ``HubConfiguration/log``.
public enum HubLog {
  /// To standard output, from that level on.
  public static func print(from least: HubLogLevel = .info) -> @Sendable (HubLogLevel, String) -> Void {
    { level, text in
      if level >= least {
        Swift.print("hubwire \(level): \(text)")
      }
    }
  }

  #if canImport(os)
    /// To the system's log. Texts are public in it: they name methods, and no arguments.
    public static func system(_ logger: Logger = Logger(subsystem: "dev.hubwire", category: "connection"))
      -> @Sendable (HubLogLevel, String) -> Void
    {
      // Not every SDK says that a logger may be used on any thread.
      let logger = Locked(logger)
      return { level, text in
        logger.withLock { logger in
          switch level {
          case .debug: logger.debug("\(text, privacy: .public)")
          case .info: logger.info("\(text, privacy: .public)")
          case .warning: logger.warning("\(text, privacy: .public)")
          case .error: logger.error("\(text, privacy: .public)")
          }
        }
      }
    }
  #endif
}
