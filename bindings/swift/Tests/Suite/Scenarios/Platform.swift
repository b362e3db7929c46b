import Foundation
import Hubwire
import HubwireFFI

private struct Vectors: Decodable {
  struct Vector: Decodable {
    struct Sides: Decodable {
      let canonical: String?
      let official: String?
      let decode: String?
    }
    let name: String
    let message: [String: JSON]
    let json: Sides?
    let messagepack: Sides?
  }
  let vectors: [Vector]
}

private func bytes(_ hex: String) -> Data {
  var data = Data()
  var rest = Substring(hex)
  while rest.count >= 2 {
    data.append(UInt8(rest.prefix(2), radix: 16)!)
    rest.removeFirst(2)
  }
  return data
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

private func text(_ value: JSON?) -> String? {
  if case .string(let text)? = value, !text.isEmpty { text } else { nil }
}

private func read(_ vector: Vectors.Vector, _ encoding: HubwireFFI.Encoding, _ frame: Data, canonical: Bool) throws {
  let name = "\(vector.name) in \(encoding)"
  guard let found = try inspect(encoding: encoding, frame: frame) else { throw Failure("\(name): not known") }
  let message = vector.message
  try equal(JSON.integer(Int64(found.messageType)), message["type"], "\(name): type")
  try equal(found.invocationId, text(message["invocationId"]), "\(name): id")
  try equal(found.target, text(message["target"]), "\(name): target")
  try equal(found.error, text(message["error"]), "\(name): error")
  let ids = if case .array(let list)? = message["streamIds"] { list.compactMap { text($0) } } else { [String]() }
  try equal(found.streamIds, ids, "\(name): uploads")
  let payload = message["arguments"] ?? message["item"] ?? message["result"]
  try equal(found.payload == nil, payload == nil, "\(name): whether there is a payload")
  guard let payload, let json = found.payload else { return }
  let value = try JSONDecoder().decode(JSON.self, from: json)
  guard !isBeyond(payload) else { return }
  try check(same(value, payload), "\(name): \(value) instead of \(payload)")
  if canonical {
    // What is written must be what is said to be canonical, byte by byte.
    let written = try writePayload(encoding: encoding, json: JSONEncoder().encode(payload))
    if encoding == .messagePack {
      try check(written == found.encoded || !isSimple(payload), "\(name): \(Array(written)) was written")
    } else {
      try check(same(try JSONDecoder().decode(JSON.self, from: written), payload), "\(name): what was written")
    }
  }
}

/// Objects have no order here, and fractions may be whole numbers: then other bytes are as good.
private func isSimple(_ value: JSON) -> Bool {
  switch value {
  case .object(let members): members.count < 2 && members.values.allSatisfy(isSimple)
  case .array(let list): list.allSatisfy(isSimple)
  case .number(let number): number != number.rounded()
  default: true
  }
}

let platform: [Scenario] = [
  Scenario("vectors") { test in
    let file = URL(fileURLWithPath: test.files.vectors)
    let vectors = try JSONDecoder().decode(Vectors.self, from: Data(contentsOf: file)).vectors
    try check(vectors.count > 100, "only \(vectors.count) vectors")
    var count = 0
    for vector in vectors {
      for (index, side) in [vector.json?.canonical, vector.json?.official, vector.json?.decode].enumerated() {
        guard let side else { continue }
        try read(vector, .json, Data(side.utf8), canonical: index == 0)
        count += 1
      }
      let sides = [vector.messagepack?.canonical, vector.messagepack?.official, vector.messagepack?.decode]
      for (index, side) in sides.enumerated() {
        guard let side else { continue }
        try read(vector, .messagePack, bytes(side), canonical: index == 0)
        count += 1
      }
    }
    try check(count > 300, "only \(count) were read")
  },
  Scenario("quality") { test in
    let hub = try await test.started { $0.keepAliveInterval = .milliseconds(100) }
    let trip = try await until("the round trip") { try await hub.metrics().quality.roundTrip }
    try check(trip >= .zero && trip < .seconds(10), "\(trip)")
    try equal(hub.quality.grade, .good, "grade")
    let before = try await hub.metrics()
    try await hub.invoke("Add", 1, 1)
    let metrics = try await hub.metrics()
    try equal(metrics.connections, 1, "connections")
    try check(metrics.messagesSent > before.messagesSent, "messages sent")
    try check(metrics.messagesReceived > before.messagesReceived, "messages received")
    try check(metrics.connectLatency != nil, "no latency")
    try equal(metrics.outbox.depth, 0, "depth")
    let happened = events(of: hub)
    await hub.stop()
    let event = try await happened.next("the loss") { if case .qualityChanged = $0 { true } else { false } }
    guard case .qualityChanged(let quality) = event else { throw Failure("\(event)") }
    try equal(quality.grade, .lost, "grade")
  },
]
