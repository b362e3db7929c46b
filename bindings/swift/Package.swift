// swift-tools-version: 6.0
import Foundation
import PackageDescription

// The core is linked from `generated/lib` where `cargo xtask swift` has put it, and comes as an XCFramework otherwise. The
// generated code is in `generated` either way; releases ship it.
let folder = Context.packageDirectory
let library = "\(folder)/generated/lib"
let isLocal = FileManager.default.fileExists(atPath: "\(library)/libhubwire_ffi.a")

let version = "0.1.0"
let checksum = "0000000000000000000000000000000000000000000000000000000000000000"

let core: Target =
  isLocal
  ? .systemLibrary(name: "CHubwire", path: "generated/CHubwire")
  : .binaryTarget(
    name: "CHubwire",
    url: "https://github.com/hubwire/hubwire/releases/download/v\(version)/CHubwire.xcframework.zip",
    checksum: checksum)

// Absolute: the tests are linked from another folder.
let linking: [LinkerSetting] =
  isLocal ? [.unsafeFlags(["-L\(library)"]), .linkedLibrary("hubwire_ffi")] : []

let package = Package(
  name: "Hubwire",
  platforms: [.iOS(.v16), .macOS(.v13), .tvOS(.v16), .watchOS(.v9)],
  products: [.library(name: "Hubwire", targets: ["Hubwire"])],
  targets: [
    core,
    // Generated code does not compile in the Swift 6 language mode everywhere.
    .target(
      name: "HubwireFFI", dependencies: ["CHubwire"], path: "generated/HubwireFFI",
      swiftSettings: [.swiftLanguageMode(.v5)], linkerSettings: linking),
    .target(name: "Hubwire", dependencies: ["HubwireFFI"]),
    // A program and not a test bundle: it says what became of each scenario in the words that all suites use.
    .executableTarget(name: "hubwire-suite", dependencies: ["Hubwire", "HubwireFFI"], path: "Tests/Suite"),
  ]
)
