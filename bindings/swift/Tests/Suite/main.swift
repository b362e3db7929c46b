import Foundation

signal(SIGPIPE, SIG_IGN)

let arguments = Array(CommandLine.arguments.dropFirst())
if arguments.first == "life" {
  try await life(arguments)
} else {
  let files = try Files(arguments)
  let core = connecting + calling + streaming + handling + reconnecting + outbox + delivering + vectors
  let all = core + own + races + hubs + examples(files)
  exit(try await runAll(all, files) ? 0 : 1)
}
