// Reading WebAssembly modules: numbers, texts, and where the sections are.

export class Reader {
  constructor(bytes, at) {
    this.bytes = bytes;
    this.at = at;
  }

  byte() {
    return this.bytes[this.at++];
  }

  number() {
    let value = 0;
    for (let shift = 0, more = true; more; shift += 7) {
      const byte = this.byte();
      more = byte > 127;
      value += (byte & 127) * 2 ** shift;
    }
    return value;
  }

  /** Gives back how much was skipped. */
  skip(length) {
    this.at += length;
    return length;
  }

  text() {
    const length = this.number();
    this.at += length;
    return this.bytes.toString("utf8", this.at - length, this.at);
  }
}

/** `{ id, from, to }` of each; 2 are imports, 10 is code, 11 is data, 0 is everything that is not for the engine. */
export function sections(bytes) {
  const found = [];
  for (const reader = new Reader(bytes, 8); reader.at < bytes.length;) {
    const id = reader.byte();
    const length = reader.number();
    found.push({ id, from: reader.at, to: reader.at + length });
    reader.skip(length);
  }
  return found;
}
