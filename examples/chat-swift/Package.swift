// swift-tools-version: 6.0
import PackageDescription

let package = Package(
  name: "chat-swift",
  platforms: [.macOS(.v13)],
  dependencies: [.package(name: "Hubwire", path: "../../bindings/swift")],
  targets: [.executableTarget(name: "ChatSwift", dependencies: ["Hubwire"])]
)
