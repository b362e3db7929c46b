import Foundation

/// Times as texts as in RFC 3339, with fractions of any length: those of .NET have seven digits, which Foundation's own
/// formatters do not read.
enum Moment {
  /// From 0000 to 9999, in microseconds.
  private static let years: Range<Int64> = -62_167_219_200_000_000..<253_402_300_800_000_000

  /// Nil for what has no year of four digits, and for what is no time.
  static func text(of date: Date) -> String? {
    // Microseconds are what a Double has for times of this century.
    guard var micros = Int64(exactly: (date.timeIntervalSince1970 * 1e6).rounded()), years.contains(micros) else {
      return nil
    }
    let days = floorDivide(micros, 86_400_000_000)
    micros -= days * 86_400_000_000
    let (year, month, day) = civil(days)
    let seconds = micros / 1_000_000
    let fraction = micros % 1_000_000
    let time = [seconds / 3_600, seconds / 60 % 60, seconds % 60].map { pad($0, 2) }.joined(separator: ":")
    let digits = fraction == 0 ? "" : ".\(pad(fraction, 6))"
    return "\(pad(year, 4))-\(pad(month, 2))-\(pad(day, 2))T\(time)\(digits)Z"
  }

  static func date(of text: String) -> Date? {
    var rest = Substring(text)
    guard let year = number(&rest, 4), take(&rest, "-"), let month = number(&rest, 2), take(&rest, "-"),
      let day = number(&rest, 2), (1...12).contains(month), (1...31).contains(day),
      take(&rest, "T") || take(&rest, "t") || take(&rest, " "),
      let hour = number(&rest, 2), take(&rest, ":"), let minute = number(&rest, 2), take(&rest, ":"),
      let second = number(&rest, 2), hour < 24, minute < 60, second <= 60
    else { return nil }
    var fraction = 0.0
    if take(&rest, ".") {
      let digits = rest.prefix { $0.isASCII && $0.isNumber }
      guard !digits.isEmpty, let value = Double("0.\(digits)") else { return nil }
      fraction = value
      rest.removeFirst(digits.count)
    }
    // Without an offset it is what .NET writes for a time of no kind: taken as UTC.
    guard let offset = offset(&rest), rest.isEmpty else { return nil }
    let seconds = days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset
    return Date(timeIntervalSince1970: Double(seconds) + fraction)
  }

  private static func offset(_ rest: inout Substring) -> Int64? {
    if rest.isEmpty || take(&rest, "Z") || take(&rest, "z") { return 0 }
    let sign: Int64 = take(&rest, "-") ? -1 : 1
    guard sign < 0 || take(&rest, "+"), let hours = number(&rest, 2), take(&rest, ":"), let minutes = number(&rest, 2)
    else { return nil }
    return sign * (hours * 3_600 + minutes * 60)
  }

  private static func take(_ rest: inout Substring, _ character: Character) -> Bool {
    guard rest.first == character else { return false }
    rest.removeFirst()
    return true
  }

  private static func number(_ rest: inout Substring, _ digits: Int) -> Int64? {
    let text = rest.prefix(digits)
    guard text.count == digits, text.allSatisfy({ $0.isASCII && $0.isNumber }) else { return nil }
    rest.removeFirst(digits)
    return Int64(text)
  }

  private static func pad(_ number: Int64, _ digits: Int) -> String {
    let text = String(number)
    return String(repeating: "0", count: max(0, digits - text.count)) + text
  }

  private static func floorDivide(_ left: Int64, _ right: Int64) -> Int64 {
    left >= 0 ? left / right : -((-left + right - 1) / right)
  }

  /// Days since 1970 of a date of the Gregorian calendar: years begin in March, so that the odd day is the last one.
  private static func days(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
    let shifted = month <= 2 ? year - 1 : year
    let era = floorDivide(shifted, 400)
    let ofEra = shifted - era * 400
    let ofYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
    return era * 146_097 + ofEra * 365 + ofEra / 4 - ofEra / 100 + ofYear - 719_468
  }

  private static func civil(_ days: Int64) -> (Int64, Int64, Int64) {
    let shifted = days + 719_468
    let era = floorDivide(shifted, 146_097)
    let ofEra = shifted - era * 146_097
    let year = (ofEra - ofEra / 1_460 + ofEra / 36_524 - ofEra / 146_096) / 365
    let ofYear = ofEra - (365 * year + year / 4 - year / 100)
    let month = (5 * ofYear + 2) / 153
    let day = ofYear - (153 * month + 2) / 5 + 1
    return (year + era * 400 + (month >= 10 ? 1 : 0), month < 10 ? month + 3 : month - 9, day)
  }
}
