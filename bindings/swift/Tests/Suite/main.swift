import Foundation
import Hubwire

let hub = try HubConnection(url: URL(string: CommandLine.arguments[1] + "/hubs/interop")!) { $0.log = { print($0, $1) } }
let box = NSLock()
hub.on("Push") { (n: Int) in print("push", n) }
hub.on("Ask") { (n: Int) in n + 1 }
try await hub.start()
print(try await hub.invoke("Add", 1, 2) as Int)
try await hub.invoke("ToCaller", "Push", 7)
struct R: Codable, Sendable { let ok: Bool; let value: Int?; let error: String? }
print(try await hub.invoke("AskCaller", "Ask", 41, returning: R.self))
print(try await hub.invoke("Sum", Upload([1, 2, 3])) as Int)
for try await n in hub.stream("Count", 3, 0, of: Int.self) { print(n) }
do { try await hub.invoke("ThrowHub", "x") } catch { print(error) }
for t in try FileManager.default.contentsOfDirectory(atPath: "/proc/self/task") { print((try? String(contentsOfFile: "/proc/self/task/\(t)/comm", encoding: .utf8)) ?? "?", terminator: "") }
await hub.stop()
print(hub.state)
