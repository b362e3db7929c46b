/**
 * What `Connection.input` can be given: the kind, and what its numbers `a`, `b`, `c` and its two texts are. The numbers
 * are those of `src/lib.rs`.
 */

// One function with numbers costs a tenth of what twenty functions cost in the module and in the glue.
export const enum Input {
  /** a: link, b: slot, c: size; the id. */
  Item = 2,
  /** a: link, b: slot or 0, c: size; the id, and the error. */
  Completion = 3,
  /** a: link; the id. */
  Cancelled = 5,
  /** a: link. */
  Ping = 6,
  /** a: link, b: whether to come back, c: after how many milliseconds, or -1; nothing, and the error. */
  Close = 7,
  /** a: link, b: the sequence id. */
  Ack = 8,
  Sequence = 9,
  Stop = 10,
  /** a: call. */
  Cancel = 11,
  /** a: upload, b: slot, c: size. */
  Upload = 12,
  /** a: upload; the error. */
  EndUpload = 13,
  /** a: delivery; the reason of a failure. */
  Handled = 14,
  /** The message id. */
  Acknowledge = 15,
  /** The message id, and the reason. */
  Nack = 16,
  /** a: reply, b: 0 nothing, 1 an error, 2 no handler, 3 many handlers; the error. */
  Reply = 17,
  /** a: reply, b: slot, c: size. */
  ReplyValue = 18,
  Tick = 19,
  /** a: link. */
  Opened = 20,
  /** a: link, b: 0 in order, 1 for a reason of ours, or a status of the WebSocket; the reason. */
  Closed = 21,
  /** a: request; the address, and the token. */
  Redirected = 22,
  /** a: request, c: whether the response is malformed; why. */
  Refused = 23,
  /** a: request, b: for how many seconds the token is valid, or -1, c: whether the connection is over. */
  Answered = 24,
  /** a: request, b: status or 0, c: after how many milliseconds to ask again, or -1; why. */
  Failed = 25,
  /** a: batch; the error. */
  Stored = 26,
  /** a: link, c: whether the response is malformed; the error. */
  Handshaken = 27,
  /** a: link, b: the limit in bytes that was exceeded, or 0; what is wrong. */
  Malformed = 28,
  /** b: 0 online, 1 offline, 2 awake again, 3 in front of the user, 4 not. */
  Hint = 29,
  /** a: request; the token, and the error. */
  Token = 30,
  /** a: request, b: the delay in milliseconds, or -1 to give up. */
  RetryAfter = 31,
  Dispose = 32,
}

/** The bits of `Connection.status`; those of reading are about the link that it is asked for. */
export const enum Status {
  /** Nothing is connected, and nothing is to be. */
  Disconnected = 1,
  /** Calls should be made now. */
  WantsCalls = 2,
  /** The handshake response comes next. */
  ReadsHandshake = 4,
  ReadsMessages = 8,
}
