import Foundation
@testable import Hubwire
import HubwireFFI

/// The golden vectors of `tests/vectors` through the border, and then through the decoder of an application. Handshakes, negotiation
/// and the lists of `delivery.json` do not cross the border: the core reads them, and its tests have them.
let vectors: [Scenario] = [
  Scenario("vectors") { test in
    let folder = URL(fileURLWithPath: test.files.vectors)
    func load<File: Decodable>(_ name: String, as type: File.Type) throws -> File {
      try JSONDecoder().decode(type, from: Data(contentsOf: folder.appendingPathComponent("\(name).json")))
    }
    var tally = Tally()
    let messages = try load("messages", as: Messages.self).vectors
    for vector in messages {
      for (encoding, sides) in [(HubwireFFI.Encoding.json, vector.json), (.messagePack, vector.messagepack)] {
        guard let sides else { continue }
        for (kind, text) in [("canonical", sides.canonical), ("official", sides.official), ("decode", sides.decode)] {
          guard let text else { continue }
          let name = "\(vector.name) in \(encoding), \(kind)"
          let found = try inspected(name, encoding, encoding == .json ? Data(text.utf8) : bytes(text))
          try compare(name, found, vector.message)
          tally.read += 1
          guard kind == "canonical" else { continue }
          tally.written += try writtenAgain(name, encoding, found, vector.message)
          if let shape = shapes[vector.name] {
            try shape(name, encoding, found)
            tally.typed.insert(vector.name)
          }
        }
      }
    }
    for vector in try load("leniency", as: Inputs.self).vectors {
      // Chunks of several messages are for the core: the border has them one by one.
      guard let message = vector.message else { continue }
      if case .object(let message) = message {
        try compare(vector.name, try inspected(vector.name, vector.side, vector.frame), message)
      } else {
        try check(try inspect(encoding: vector.side, frame: vector.frame) == nil, "\(vector.name) is known")
      }
      tally.read += 1
    }
    for vector in try load("malformed", as: Inputs.self).vectors {
      do {
        _ = try inspect(encoding: vector.side, frame: vector.frame)
      } catch HubFailure.Failed(let kind, let reason) {
        try check(kind == .protocol, "\(vector.name): \(kind)")
        try check(reason.contains(vector.reason ?? "The message is not whole."), "\(vector.name): \(reason)")
        tally.refused += 1
        continue
      }
      throw Failure("\(vector.name) was read")
    }
    say("   \(tally.read) read, \(tally.written) written, \(tally.typed.count) as types, \(tally.refused) refused")
    try equal(tally.typed, Set(shapes.keys), "vectors read as types")
    try check(tally.read > 500 && tally.written > 200 && tally.refused > 150, "too few: \(tally)")
  }
]

private struct Tally {
  var (read, written, refused) = (0, 0, 0)
  var typed: Set<String> = []
}

private struct Messages: Decodable {
  struct Vector: Decodable {
    struct Sides: Decodable {
      let canonical, official, decode: String?
    }
    let name: String
    let message: [String: JSON]
    let json, messagepack: Sides?
  }
  let vectors: [Vector]
}

private struct Inputs: Decodable {
  struct Vector: Decodable {
    let name, encoding: String
    let text, hex, reason: String?
    /// Null for a message of a type that is not known; nothing where there is no such member.
    let message: JSON?

    private enum CodingKeys: CodingKey { case name, encoding, text, hex, reason, message }

    init(from decoder: any Decoder) throws {
      let members = try decoder.container(keyedBy: CodingKeys.self)
      name = try members.decode(String.self, forKey: .name)
      encoding = try members.decode(String.self, forKey: .encoding)
      text = try members.decodeIfPresent(String.self, forKey: .text)
      hex = try members.decodeIfPresent(String.self, forKey: .hex)
      reason = try members.decodeIfPresent(String.self, forKey: .reason)
      message = members.contains(.message) ? try members.decode(JSON.self, forKey: .message) : nil
    }

    var side: HubwireFFI.Encoding { encoding == "json" ? .json : .messagePack }
    var frame: Data { text.map { Data($0.utf8) } ?? bytes(hex ?? "") }
  }
  let vectors: [Vector]
}

private func bytes(_ hex: String) -> Data {
  let digits = Array(hex.utf8)
  func value(_ digit: UInt8) -> UInt8 { digit < 0x3A ? digit - 0x30 : digit - 0x57 }
  return Data(stride(from: 0, to: digits.count, by: 2).map { value(digits[$0]) << 4 | value(digits[$0 + 1]) })
}

private func inspected(
  _ name: String, _ encoding: HubwireFFI.Encoding, _ frame: Data
) throws -> HubwireFFI.InspectedMessage {
  do {
    guard let found = try inspect(encoding: encoding, frame: frame) else { throw Failure("it is of no known type") }
    return found
  } catch {
    throw Failure("\(name): \(error)")
  }
}

private func compare(_ name: String, _ found: HubwireFFI.InspectedMessage, _ message: [String: JSON]) throws {
  try equal(JSON.integer(Int64(found.messageType)), message["type"], "\(name): type")
  try equal(found.invocationId, text(message["invocationId"]), "\(name): id")
  try equal(found.target, text(message["target"]), "\(name): target")
  try equal(found.error, text(message["error"]), "\(name): error")
  let ids = if case .array(let list)? = message["streamIds"] { list.compactMap { text($0) } } else { [String]() }
  try equal(found.streamIds, ids, "\(name): uploads")
  let payload = payload(message)
  try equal(found.payload == nil, payload == nil, "\(name): whether there is a payload")
  guard let payload, let json = found.payload, !isBeyond(payload) else { return }
  let value = try JSONDecoder().decode(JSON.self, from: json)
  try check(same(value, payload), "\(name): \(value) instead of \(payload)")
}

/// What the border gave, given back to it, travels as it came, byte by byte; and what Swift's encoder makes of it means the same.
private func writtenAgain(
  _ name: String, _ encoding: HubwireFFI.Encoding, _ found: HubwireFFI.InspectedMessage, _ message: [String: JSON]
) throws -> Int {
  guard let payload = payload(message), !isBeyond(payload), let json = found.payload else { return 0 }
  try equal(try writePayload(encoding: encoding, json: json), found.encoded, "\(name), written again")
  let own = try writePayload(encoding: encoding, json: JSONEncoder().encode(payload))
  if encoding == .json {
    try check(same(try JSONDecoder().decode(JSON.self, from: own), payload), "\(name), written by Swift")
  } else {
    try check(own == found.encoded || !isSimple(payload), "\(name): Swift wrote \(Array(own))")
  }
  return 1
}

private func payload(_ message: [String: JSON]) -> JSON? {
  message["arguments"] ?? message["item"] ?? message["result"]
}

/// The value as it is compared: integers of any size and fractions are one thing in JSON.
private func same(_ left: JSON?, _ right: JSON?) -> Bool {
  switch (left, right) {
  case (.integer(let a)?, .number(let b)?), (.number(let b)?, .integer(let a)?): Double(a) == b
  case (.array(let a)?, .array(let b)?): a.count == b.count && zip(a, b).allSatisfy { same($0, $1) }
  case (.object(let a)?, .object(let b)?): a.keys == b.keys && a.allSatisfy { same($0.value, b[$0.key]) }
  default: left == right
  }
}

/// Whether it has a value that JSON has no words for.
private func isBeyond(_ value: JSON) -> Bool {
  switch value {
  case .array(let list): list.contains(where: isBeyond)
  case .object(let members): members["$msgpack"] != nil || members.values.contains(where: isBeyond)
  default: false
  }
}

/// Objects have no order in Swift, and fractions may be whole numbers: then other bytes are as good.
private func isSimple(_ value: JSON) -> Bool {
  switch value {
  case .object(let members): members.count < 2 && members.values.allSatisfy(isSimple)
  case .array(let list): list.allSatisfy(isSimple)
  case .number(let number): number != number.rounded()
  default: true
  }
}

private func text(_ value: JSON?) -> String? {
  if case .string(let text)? = value, !text.isEmpty { text } else { nil }
}

private typealias Shape = @Sendable (String, HubwireFFI.Encoding, HubwireFFI.InspectedMessage) throws -> Void

/// The payload as an application has it, by the codec of a connection; written by it, it travels as it came.
private func typed<Value: Codable & Equatable & Sendable>(_ expected: Value, writes: Bool = true) -> Shape {
  { name, encoding, found in
    let codec = Codec(HubJSON(), encoding: encoding == .json ? .json : .messagePack)
    guard let payload = found.payload else { throw Failure("\(name): no payload") }
    do {
      try equal(try codec.decode(Value.self, from: payload), expected, "\(name) as \(Value.self)")
    } catch let error as DecodingError {
      throw Failure("\(name) as \(Value.self): \(decodingText(error))")
    }
    guard writes else { return }
    let written = try writePayload(encoding: encoding, json: codec.encode(expected))
    try equal(written, found.encoded, "\(name), written as \(Value.self)")
  }
}

private struct Item: Codable, Equatable {
  let n: Int
  let text: String
}

private struct Outcome: Codable, Equatable {
  let ok: Bool
  let list: [JSON]
}

private func time(_ seconds: Double) -> Date { Date(timeIntervalSince1970: seconds) }

/// What some vectors are in Swift. Members of objects are not always written in their order.
private let shapes: [String: Shape] = [
  "invocation-blocking": typed([42]),
  "invocation-17-keys": typed(
    [Dictionary(uniqueKeysWithValues: zip("abcdefghijklmnopq", 0...).map { ("k\($0)", $1) })], writes: false),
  "text-argument-emoji": typed(["\u{1F600} \u{1F469}\u{200D}\u{1F469}\u{200D}\u{1F467} \u{1F1F9}\u{1F1F7}"]),
  "text-item-quotes": typed(#"say "hi" \ and / done"#),
  "text-item-controls": typed("a\u{8}b\u{C}c\nd\re\tf\0g\u{1}h\u{1E}i\u{1F}j\u{7F}k"),
  "value-result-true": typed(true),
  "value-result-null": typed(Int?.none),
  "value-result-float-pi": typed(Double.pi),
  "value-result-float-tenth": typed(0.1),
  "integer-127": typed(Int8.max),
  "integer-65535": typed(UInt16.max),
  "integer-4294967296": typed(Int64(4_294_967_296)),
  "integer-minus-9007199254740991": typed(-9_007_199_254_740_991),
  "array-length-16": typed([Double](repeating: 0, count: 16), writes: false),
  "item-object": typed(Item(n: 1, text: "x"), writes: false),
  "completion-object": typed(Outcome(ok: true, list: [.integer(1), .string("two"), .null]), writes: false),
  "completion-empty-object": typed([String: String]()),
  "binary-empty": typed(Data()),
  "binary-4-bytes": typed([Data([0xDE, 0xAD, 0xBE, 0xEF])]),
  "binary-256-bytes": typed(Data(repeating: 0xAB, count: 256)),
  "timestamp-32": typed(time(1_744_830_464)),
  "timestamp-64": typed(time(1_744_830_464.05)),
  "timestamp-96": typed(time(-2_048)),
  "uint64-max": typed(UInt64.max),
  "int64-min": typed(Int64.min),
  "float-32": typed(Float(1), writes: false),
]
