import Foundation
import Hubwire
import Network
import ObjectiveC
import UIKit
import os

signal(SIGPIPE, SIG_IGN)

/// What an adapter reports.
private final class Reports: @unchecked Sendable {
  let hints = Events<Hint>()
  private let lock = NSLock()
  private var ends: [@Sendable () -> Void] = []

  init(_ hints: any PlatformHints) {
    let end = hints.begin { [events = self.hints] in events.push($0) }
    lock.withLock { ends.append(end) }
  }

  func end() {
    lock.withLock { ends }.forEach { $0() }
  }
}

private func post(_ name: Notification.Name) {
  NotificationCenter.default.post(name: name, object: nil)
}

private let apple: [Scenario] = [
  Scenario("own.apple.path") { _ in
    let adapter = NetworkPathHints()
    let (first, second) = (Reports(adapter), Reports(adapter))
    for reports in [first, second] {
      try equal(await reports.hints.next("what there is at the start"), .online, "hint")
    }
    try equal(Surroundings.monitors, 2, "monitors")
    let changes = [(NWPath.Status.unsatisfied, Hint.offline), (.requiresConnection, .online), (.satisfied, .online)]
    for (path, hint) in changes {
      Surroundings.change(to: path)
      for reports in [first, second] { try equal(await reports.hints.next("a path"), hint, "the hint for \(path)") }
    }
    // One that has ended hears no more, the other does.
    first.end()
    try equal(Surroundings.monitors, 1, "monitors")
    Surroundings.change(to: .unsatisfied)
    try equal(await second.hints.next("a path"), .offline, "hint")
    second.end()
    second.end()
    try equal(Surroundings.monitors, 0, "monitors")
    Surroundings.change(to: .satisfied)
    try equal(first.hints.all, [.online, .offline, .online, .online], "all hints of the first")
    try equal(second.hints.all, [.online, .offline, .online, .online, .offline], "all hints of the second")
  },
  Scenario("own.apple.lifecycle") { _ in
    let reports = Reports(AppLifecycleHints())
    post(UIApplication.didEnterBackgroundNotification)
    try equal(reports.hints.all, [.background], "hints")
    post(UIApplication.willEnterForegroundNotification)
    try equal(reports.hints.all, [.background, .foreground, .resumed], "hints")
    reports.end()
    post(UIApplication.didEnterBackgroundNotification)
    post(UIApplication.willEnterForegroundNotification)
    try equal(reports.hints.all.count, 3, "hints after the end")
  },
  Scenario("own.apple.connection") { test in
    // It would come back by itself only after a minute.
    let hub = try test.proxied {
      $0.retry = .slow
      $0.hints = [NetworkPathHints(), AppLifecycleHints()]
    }
    let states = changes(of: hub)
    try await hub.start()
    Surroundings.change(to: .unsatisfied)
    try await test.proxy.cut()
    try await states.reach(.reconnecting)
    Surroundings.change(to: .satisfied)
    try await states.reach(.connected, seconds: 10)
    post(UIApplication.didEnterBackgroundNotification)
    try await test.proxy.cut()
    try await states.reach(.reconnecting)
    post(UIApplication.willEnterForegroundNotification)
    try await states.reach(.connected, seconds: 10)
    try equal(Surroundings.monitors, 1, "monitors")
    hub.close()
    try equal(Surroundings.monitors, 0, "monitors of a connection that was closed")
  },
  Scenario("own.apple.freed") { test in
    // One that nobody closes: its adapters end when it is freed.
    var hub: HubConnection? = try HubConnection(url: test.server.url()) {
      $0.hints = [NetworkPathHints(), AppLifecycleHints()]
    }
    try await hub?.start()
    try equal(Surroundings.monitors, 1, "monitors")
    await hub?.stop()
    hub = nil
    _ = try await until("the end of the monitor") { Surroundings.monitors == 0 ? true : nil }
  },
  Scenario("own.apple.log") { test in
    let hub = try test.hub { $0.log = HubLog.system() }
    try await hub.start()
    let line = "dev.hubwire/connection info: Connecting -> Connected"
    _ = try await until("the line of the log") { SystemLog.lines.contains(line) ? true : nil }
    let own = try test.hub { $0.log = HubLog.system(Logger(subsystem: "app", category: "hub")) }
    try await own.start()
    _ = try await until("the line of the other log") {
      SystemLog.lines.contains("app/hub info: Connecting -> Connected") ? true : nil
    }
    try check(!SystemLog.lines.contains { $0.contains("<private>") }, "a text is private: \(SystemLog.lines)")
  },
  Scenario("own.apple.pools") { test in
    let hub = try await test.started()
    let before = Pools.made
    try equal(await hub.invoke("Add", 1, 1) as Int, 2, "sum")
    try check(Pools.made > before, "the reading thread has no pools")
  },
]

exit(try await run(apple, Files(Array(CommandLine.arguments.dropFirst()))) ? 0 : 1)
