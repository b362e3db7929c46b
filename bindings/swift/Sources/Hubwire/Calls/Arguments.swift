import Foundation

/// The arguments of a call, encoded: a JSON list, and the uploads beside it.
struct Arguments: Sendable {
  let json: Data
  let uploads: [Upload]

  init<each Argument: Encodable>(_ codec: Codec, _ target: String, _ values: repeat each Argument) throws {
    var json = Data("[".utf8)
    var uploads: [Upload] = []
    var number = 0
    func add(_ value: some Encodable) throws {
      number += 1
      if let upload = value as? Upload {
        return uploads.append(upload)
      }
      if json.count > 1 {
        json.append(UInt8(ascii: ","))
      }
      do {
        json.append(try codec.encode(value))
      } catch {
        throw HubError.misuse("Argument \(number) of '\(target)' cannot be encoded: \(encodingText(error))")
      }
    }
    repeat try add(each values)
    json.append(UInt8(ascii: "]"))
    self.json = json
    self.uploads = uploads
  }
}

/// What an encoder says, in one line.
func encodingText(_ error: any Error) -> String {
  if case EncodingError.invalidValue(_, let context)? = error as? EncodingError {
    return context.debugDescription
  }
  return reason(of: error)
}
