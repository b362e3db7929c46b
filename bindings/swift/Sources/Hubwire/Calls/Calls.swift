import Foundation
internal import HubwireFFI

/// The calls that have not ended, by id. What it runs runs on the reading thread: it hands things over and no more.
final class Calls: Sendable {
  /// Who waits for a call.
  struct Pending: Sendable {
    var kind: HubwireFFI.CallKind
    /// Nil: it ended without a result.
    var end: @Sendable (Result<Data?, HubError>) -> Void
    /// Takes an item and its cost, and says how much of that may be released.
    var item: (@Sendable (Data, UInt64) -> UInt64)?
    var queued: (@Sendable () -> Void)?
    var uploads: [UInt64] = []
  }

  private struct Entries {
    var list: [UInt64: Pending] = [:]
    /// What they all ended with: from then on there is none, for nobody would end it.
    var end: HubError?
  }

  private let link: Link
  private let uploads: Uploads
  private let entries = Locked(Entries())
  /// Commands have to reach the core in the order of their ids.
  private let lastID = Locked<UInt64>(0)

  init(link: Link, codec: Codec) {
    self.link = link
    uploads = Uploads(link: link, codec: codec)
  }

  var count: Int { entries.withLock { $0.list.count } }

  /// Makes a call. Throws why it cannot be made; `pending` hears nothing then.
  func make(_ target: String, _ arguments: Arguments, _ settings: HubwireFFI.CallSettings?, _ pending: Pending) throws
    -> UInt64
  {
    let core = try link.command()
    let (id, isOver) = try lastID.withLock { last -> (UInt64, Bool) in
      var pending = pending
      last += 1
      let id = last
      for upload in arguments.uploads {
        last += 1
        pending.uploads.append(last)
        uploads.add(last, upload)
      }
      if let end = add(id, pending) {
        uploads.stop(pending.uploads)
        throw end
      }
      do {
        let isOver = try core.call(
          call: id, kind: pending.kind, target: target, arguments: arguments.json, uploads: pending.uploads,
          settings: settings)
        return (id, isOver)
      } catch {
        forget(id, failed: true)
        throw HubError(failure: error)
      }
    }
    if isOver {
      ended(id, .success(nil))
    }
    return id
  }

  /// A call that the store brought back.
  func restore(_ id: UInt64, _ pending: Pending) {
    if let end = add(id, pending) {
      pending.end(.failure(end))
    }
  }

  func cancel(_ id: UInt64) {
    if entries.withLock({ $0.list[id] != nil }) {
      link.core?.cancel(call: id)
    }
  }

  func ended(_ id: UInt64, _ result: Result<Data?, HubError>) {
    if case .failure = result {
      forget(id, failed: true)?.end(result)
    } else {
      forget(id, failed: false)?.end(result)
    }
  }

  /// How much of the cost may be released.
  func item(_ id: UInt64, _ value: Data, _ cost: UInt64) -> UInt64 {
    guard let item = entries.withLock({ $0.list[id]?.item }) else { return cost }
    return item(value, cost)
  }

  func queued(_ id: UInt64) {
    entries.withLock { $0.list[id]?.queued }?()
  }

  func uploadStarted(_ upload: UInt64) {
    uploads.start(upload)
  }

  func uploadStopped(_ upload: UInt64) {
    uploads.stop([upload])
  }

  func room() {
    uploads.room()
  }

  /// Ends them all; there are no more.
  func end(_ error: HubError) {
    let all = entries.withLock { entries in
      defer { (entries.list, entries.end) = ([:], entries.end ?? error) }
      return Array(entries.list.values)
    }
    uploads.stopAll()
    for pending in all {
      pending.end(.failure(error))
    }
  }

  /// Says why not, if all have ended.
  private func add(_ id: UInt64, _ pending: Pending) -> HubError? {
    entries.withLock { entries in
      if entries.end == nil {
        entries.list[id] = pending
      }
      return entries.end
    }
  }

  @discardableResult
  private func forget(_ id: UInt64, failed: Bool) -> Pending? {
    let pending = entries.withLock { $0.list.removeValue(forKey: id) }
    // What was only sent may still be uploading.
    if let pending, failed || pending.kind != .send {
      uploads.stop(pending.uploads)
    }
    return pending
  }
}
