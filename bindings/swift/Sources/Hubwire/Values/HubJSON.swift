import Foundation

/// How values become JSON and back. It is the same for all encodings: the core makes MessagePack of it.
///
/// Unless the closures say otherwise, `Data` travels as binary data (base64 in JSON) and `Date` as a time as in RFC 3339, in
/// UTC, which is what .NET makes of `byte[]` and `DateTime`. A `Date` outside of the years 0 to 9999 cannot be encoded.
public struct HubJSON: Sendable {
  /// Changes the encoder of a connection, once: its keys, its dates.
  public var configureEncoder: (@Sendable (JSONEncoder) -> Void)?
  /// Changes the decoder of a connection, once.
  public var configureDecoder: (@Sendable (JSONDecoder) -> Void)?

  /// The defaults.
  public init() {}
}

/// The encoder and decoder of one connection. They are not changed once they are made, and what they do then may be done on
/// several threads.
struct Codec: @unchecked Sendable {
  private let encoder = JSONEncoder()
  private let decoder = JSONDecoder()

  init(_ json: HubJSON, encoding: HubEncoding) {
    encoder.outputFormatting = .withoutEscapingSlashes
    if encoding == .messagePack {
      encoder.dataEncodingStrategy = .custom { data, encoder in
        try ["$binary": data.base64EncodedString()].encode(to: encoder)
      }
      encoder.dateEncodingStrategy = .custom { date, encoder in
        try ["$timestamp": text(of: date, encoder)].encode(to: encoder)
      }
    } else {
      encoder.dateEncodingStrategy = .custom { date, encoder in
        try text(of: date, encoder).encode(to: encoder)
      }
    }
    decoder.dateDecodingStrategy = .custom { decoder in
      let container = try decoder.singleValueContainer()
      let text = try container.decode(String.self)
      guard let date = Moment.date(of: text) else {
        throw DecodingError.dataCorruptedError(in: container, debugDescription: "'\(text)' is no time as in RFC 3339")
      }
      return date
    }
    json.configureEncoder?(encoder)
    json.configureDecoder?(decoder)
  }

  func encode(_ value: some Encodable) throws -> Data {
    try encoder.encode(value)
  }

  func decode<Value: Decodable>(_ type: Value.Type, from json: Data) throws -> Value {
    try decoder.decode(type, from: json)
  }
}

private func text(of date: Date, _ encoder: any Encoder) throws -> String {
  guard let text = Moment.text(of: date) else {
    let what = "A date \(date.timeIntervalSince1970) s from 1970 is no time as in RFC 3339."
    let context = EncodingError.Context(codingPath: encoder.codingPath, debugDescription: what)
    throw EncodingError.invalidValue(date, context)
  }
  return text
}

/// What a decoder says, in one line.
func decodingText(_ error: any Error) -> String {
  func place(_ path: [any CodingKey], _ text: String) -> String {
    path.isEmpty
      ? text : "\(path.map { $0.intValue.map(String.init) ?? $0.stringValue }.joined(separator: ".")): \(text)"
  }
  guard let error = error as? DecodingError else { return reason(of: error) }
  switch error {
  case .typeMismatch(_, let context), .dataCorrupted(let context), .valueNotFound(_, let context):
    return place(context.codingPath, context.debugDescription)
  case .keyNotFound(let key, let context):
    return place(context.codingPath, "there is no '\(key.stringValue)'")
  @unknown default:
    return String(describing: error)
  }
}
