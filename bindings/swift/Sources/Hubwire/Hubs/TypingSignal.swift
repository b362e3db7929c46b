/// Turns key presses into as few messages as it takes to be seen writing.
final class TypingSignal: Sendable {
  /// A user counts as writing for that long after the last key.
  private static let idle = Duration.seconds(3)
  /// The server forgets after 5 s that somebody writes: it is told again before.
  private static let again = Duration.milliseconds(2_500)

  private struct Writing {
    var idle: Task<Void, Never>?
    /// When the server was told.
    var told: ContinuousClock.Instant?
  }

  private let writing = Locked<[String: Writing]>([:])
  private let tellStart: @Sendable (String) -> Void
  private let tellStop: @Sendable (String) -> Void

  init(start: @escaping @Sendable (String) -> Void, stop: @escaping @Sendable (String) -> Void) {
    (tellStart, tellStop) = (start, stop)
  }

  deinit {
    writing.withLock { $0.values.forEach { $0.idle?.cancel() } }
  }

  func start(_ conversation: String) {
    let now = ContinuousClock.now
    let tells = writing.withLock { writing -> Bool in
      var one = writing[conversation] ?? Writing()
      one.idle?.cancel()
      one.idle = Task { [weak self] in
        try? await Task.sleep(for: Self.idle)
        if !Task.isCancelled { self?.stop(conversation) }
      }
      let tells = one.told.map { now - $0 >= Self.again } ?? true
      if tells { one.told = now }
      writing[conversation] = one
      return tells
    }
    if tells { tellStart(conversation) }
  }

  func stop(_ conversation: String) {
    if forget(conversation) { tellStop(conversation) }
  }

  /// As `stop`, where the server knows by itself. Returns whether the user was writing.
  @discardableResult
  func forget(_ conversation: String) -> Bool {
    let one = writing.withLock { $0.removeValue(forKey: conversation) }
    one?.idle?.cancel()
    return one != nil
  }
}
