import Foundation
internal import HubwireFFI

/// The uploads of one connection that have not ended.
final class Uploads: Sendable {
  private struct Active {
    let upload: Upload
    var task: Task<Void, Never>?
  }

  private struct State {
    var active: [UInt64: Active] = [:]
    /// Resolved when there is room again, and replaced.
    var room = Promise<Void>()
  }

  private let link: Link
  private let codec: Codec
  private let state = Locked(State())

  init(link: Link, codec: Codec) {
    (self.link, self.codec) = (link, codec)
  }

  func add(_ id: UInt64, _ upload: Upload) {
    state.withLock { $0.active[id] = Active(upload: upload) }
  }

  /// The call was sent: items are wanted.
  func start(_ id: UInt64) {
    state.withLock { state in
      guard let upload = state.active[id]?.upload, state.active[id]?.task == nil else { return }
      state.active[id]?.task = Task { await self.drain(id, upload) }
    }
  }

  func stop(_ ids: [UInt64]) {
    guard !ids.isEmpty else { return }
    let stopped = state.withLock { state in ids.compactMap { state.active.removeValue(forKey: $0) } }
    end(stopped)
  }

  func stopAll() {
    let stopped = state.withLock { state in
      defer { state.active = [:] }
      return Array(state.active.values)
    }
    end(stopped)
  }

  func room() {
    let room = state.withLock { state in
      defer { state.room = Promise() }
      return state.room
    }
    room.resolve(.success(()))
  }

  /// Elsewhere: the application may have something to say to the end of its sequence.
  private func end(_ stopped: [Active]) {
    guard !stopped.isEmpty else { return }
    DispatchQueue.global().async {
      stopped.forEach { $0.task?.cancel() }
    }
  }

  private func drain(_ id: UInt64, _ upload: Upload) async {
    var error: String?
    do {
      try await upload.drain(codec) { item in try await self.send(id, item) }
    } catch let what {
      error = what is EncodingError ? "An item cannot be encoded: \(encodingText(what))" : reason(of: what)
    }
    // Unless nobody wants to know.
    if state.withLock({ $0.active.removeValue(forKey: id) }) != nil {
      try? link.core?.endUpload(upload: id, error: error)
    }
  }

  private func send(_ id: UInt64, _ item: Data) async throws {
    try Task.checkCancellation()
    // Taken before: room may come while the item is on its way.
    let room = state.withLock { $0.room }
    let hasRoom: Bool
    do {
      hasRoom = try link.command().upload(upload: id, item: item)
    } catch {
      throw HubError(failure: error)
    }
    if !hasRoom {
      try await room.get()
    }
  }
}
