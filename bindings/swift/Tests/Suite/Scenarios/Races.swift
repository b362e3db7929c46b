import Foundation
import Hubwire

/// What comes too late, at the same time, or too often.
let races: [Scenario] = [
  Scenario("own.close-races") { test in
    for _ in 0..<20 {
      let hub = try await test.started()
      let calls = (0..<100).map { number in Task { try await hub.invoke("Add", number, 1) as Int } }
      let stop = Task { await hub.stop() }
      let close = Task { hub.close() }
      try await within("the end of what was asked for while it was closed") {
        for call in calls { _ = await call.result }
        await stop.value
        await close.value
      }
      try equal(hub.state, .disconnected, "state")
      try equal(hub.pendingCalls, 0, "calls that wait")
    }
  },
]
