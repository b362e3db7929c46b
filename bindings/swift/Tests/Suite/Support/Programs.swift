import Foundation

/// A child process that ends when its input does, and speaks in lines.
final class Program: @unchecked Sendable {
  private let process = Process()
  private let input = Pipe()
  private let lines = Events<String>()
  private let ended = Events<Int32>()

  init(_ path: String, _ arguments: [String]) throws {
    let output = Pipe()
    process.executableURL = URL(fileURLWithPath: path)
    process.arguments = arguments
    process.standardInput = input
    process.standardOutput = output
    let (lines, ended) = (self.lines, self.ended)
    process.terminationHandler = { ended.push($0.terminationStatus) }
    try process.run()
    let thread = Thread {
      var rest = Data()
      while true {
        let data = output.fileHandleForReading.availableData
        guard !data.isEmpty else { break }
        rest.append(data)
        while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
          lines.push(String(decoding: rest[rest.startIndex..<end], as: UTF8.self))
          rest.removeSubrange(rest.startIndex...end)
        }
      }
      lines.push("")
    }
    thread.start()
  }

  func line(_ what: String) async throws -> String {
    try await lines.next(what)
  }

  func line(_ what: String, where condition: (String) -> Bool) async throws -> String {
    try await lines.next(what, where: condition)
  }

  var allLines: [String] { lines.all }

  func write(_ text: String) {
    input.fileHandleForWriting.write(Data((text + "\n").utf8))
  }

  func kill() async throws {
    guard process.isRunning else { return }
    Foundation.kill(process.processIdentifier, SIGKILL)
    _ = try await ended.next("the end of a program")
  }

  func stop() async throws {
    guard process.isRunning else { return }
    try? input.fileHandleForWriting.close()
    _ = try await ended.next("the end of a program")
  }

  /// Where a server listens.
  static func listening(_ path: String, _ arguments: [String]) async throws -> (Program, URL) {
    let program = try Program(path, arguments)
    let first = try await program.line("where \(path) listens")
    guard first.hasPrefix("listening on "), let url = URL(string: String(first.dropFirst(13))) else {
      throw Failure("\(path) does not say where it listens: \(first)")
    }
    return (program, url)
  }
}

/// The interop server; started again it listens where it did before.
final class Server: @unchecked Sendable {
  private let path: String
  private var program: Program
  let origin: URL

  init(_ path: String) async throws {
    self.path = path
    (program, origin) = try await Program.listening(path, [])
  }

  var host: String { "\(origin.host!):\(origin.port!)" }

  func url(_ hub: String = "/hubs/interop") -> URL { URL(string: hub, relativeTo: origin)!.absoluteURL }

  func kill() async throws { try await program.kill() }
  func stop() async throws { try await program.stop() }

  func restart() async throws {
    try await kill()
    (program, _) = try await Program.listening(path, ["--listen", host])
  }
}

/// The fault proxy in front of the server.
final class Proxy: @unchecked Sendable {
  private let program: Program
  let origin: URL

  init(_ path: String, upstream: String) async throws {
    (program, origin) = try await Program.listening(path, ["--upstream", upstream])
  }

  func url(_ hub: String = "/hubs/interop") -> URL { URL(string: hub, relativeTo: origin)!.absoluteURL }

  @discardableResult
  func command(_ command: String) async throws -> JSON {
    program.write(command)
    let line = try await program.line("the answer of the fault proxy")
    let answer = try JSONDecoder().decode(JSON.self, from: Data(line.utf8))
    try equal(answer["ok"], .bool(true), "answer of the fault proxy to \(command)")
    return answer
  }

  func cut() async throws { try await command(#"{"cut":true}"#) }

  /// Closes all connections and refuses new ones.
  func block() async throws {
    try await command(#"{"faults":{"accept":"refuse"}}"#)
    try await cut()
  }

  /// Connections stay open, and nothing gets through.
  func halfOpen() async throws {
    try await command(#"{"faults":{"toUpstream":{"hole":true},"toClient":{"hole":true}}}"#)
  }

  func unblock() async throws { try await command(#"{"faults":{}}"#) }
  func stop() async throws { try await program.stop() }
}
