import Foundation

signal(SIGPIPE, SIG_IGN)

let arguments = Array(CommandLine.arguments.dropFirst())
if arguments.first == "life" {
  try await life(arguments)
} else {
  let all = connecting + calling + streaming + handling + reconnecting + outbox + delivering + platform + own + hubs
  exit(try await runAll(all, Files(arguments)) ? 0 : 1)
}
