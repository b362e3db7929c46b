/// First in, first out, without moving what waits.
struct Queue<Element> {
  private var list: [Element?] = []
  private var head = 0

  var isEmpty: Bool { head == list.count }
  var count: Int { list.count - head }

  mutating func append(_ element: Element) {
    list.append(element)
  }

  mutating func popFirst() -> Element? {
    guard head < list.count else { return nil }
    let element = list[head]
    list[head] = nil
    head += 1
    if head == list.count {
      list.removeAll(keepingCapacity: head <= 1_024)
      head = 0
    } else if head >= 1_024, head * 2 >= list.count {
      list.removeFirst(head)
      head = 0
    }
    return element
  }

  mutating func removeAll() -> [Element] {
    let rest = list[head...].compactMap { $0 }
    list = []
    head = 0
    return rest
  }
}
