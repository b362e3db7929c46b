/// Times cross the border to the core in milliseconds.
extension Duration {
  var milliseconds: Double {
    let (seconds, attoseconds) = components
    return Double(seconds) * 1_000 + Double(attoseconds) / 1e15
  }

  init(milliseconds: Double) {
    self = .nanoseconds(Int64(max(-9e18, min(milliseconds * 1e6, 9e18))))
  }
}
