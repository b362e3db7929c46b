// The messages that are measured: invocations of the size that is asked for, 32 different ones in turn.

export const TARGET = "Measured";
const SEPARATOR = "\x1e";
const DIFFERENT = 32;

function row(number) {
  return {
    id: number,
    user: `user-${number % 97}`,
    title: `Task number ${number}`,
    done: number % 3 === 0,
    score: number * 1.25,
    tags: ["alpha", `tag-${number % 7}`],
    at: 1_763_654_400_000 + number,
  };
}

/** An argument whose message is as near to the size as whole rows and a padding bring it. */
function argument(seed, size) {
  const value =
    size < 400 ? { id: seed, user: `user-${seed}`, ok: true, text: "" } : { rows: [], total: seed, text: "" };
  const length = () => JSON.stringify(message(value)).length;
  if (value.rows) while (length() + 130 < size) value.rows.push(row(seed * 1000 + value.rows.length));
  value.text = "x".repeat(Math.max(0, size - length()));
  return value;
}

export function message(value) {
  return { type: 1, target: TARGET, arguments: [value] };
}

/** `{ bare, frames, bytes }`: texts without their end for bare parsing, frames as they come from a socket. */
export function jsonFrames(size, perFrame) {
  const texts = [];
  for (let seed = 1; seed <= DIFFERENT * perFrame; seed += 1) texts.push(JSON.stringify(message(argument(seed, size))));
  const frames = [];
  for (let at = 0; at < texts.length; at += perFrame) {
    frames.push(
      texts
        .slice(at, at + perFrame)
        .map((text) => text + SEPARATOR)
        .join(""),
    );
  }
  return { bare: perFrame === 1 ? texts : frames, frames, bytes: texts[0].length + 1 };
}

/** The same in MessagePack, written by the official protocol. */
export function messagePackFrames(size, protocol) {
  const frames = [];
  for (let seed = 1; seed <= DIFFERENT; seed += 1) {
    const written = protocol.writeMessage(message(argument(seed, size)));
    // A buffer of its own, as sockets give them.
    frames.push(new Uint8Array(written).slice().buffer);
  }
  return { frames, bytes: frames[0].byteLength };
}
