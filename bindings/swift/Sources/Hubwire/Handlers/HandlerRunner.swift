import Dispatch

/// Where the handlers of one connection run. A handler that blocks its thread blocks a thread of this queue where the system has
/// task executors, and one of Swift's few threads otherwise.
struct HandlerRunner: Sendable {
  private let executor: (any Sendable)?

  init() {
    if #available(macOS 15.0, iOS 18.0, tvOS 18.0, watchOS 11.0, *) {
      executor = QueueExecutor()
    } else {
      executor = nil
    }
  }

  func run(_ work: @escaping @Sendable () async -> Void) {
    if #available(macOS 15.0, iOS 18.0, tvOS 18.0, watchOS 11.0, *), let executor = executor as? QueueExecutor {
      Task(executorPreference: executor, operation: work)
    } else {
      Task(operation: work)
    }
  }
}

@available(macOS 15.0, iOS 18.0, tvOS 18.0, watchOS 11.0, *)
private final class QueueExecutor: TaskExecutor {
  private let queue = DispatchQueue(label: "hubwire.handlers")

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    queue.async { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
  }
}
