// What our writers must produce, from the rules of the .NET server: one function per encoding.
import { array, encode, frame } from './msgpack.mjs';
import { compact } from './text.mjs';

export const RS = '\u001e';
export const Type = {
  Invocation: 1,
  StreamItem: 2,
  Completion: 3,
  StreamInvocation: 4,
  CancelInvocation: 5,
  Ping: 6,
  Close: 7,
  Ack: 8,
  Sequence: 9,
};

const has = (message, name) => Object.hasOwn(message, name);

/** The JSON line. The order of properties is the order of the `if`s. */
export function json(message) {
  const out = { type: message.type };
  if (message.headers) out.headers = message.headers;
  if (message.invocationId) out.invocationId = message.invocationId;
  switch (message.type) {
    case Type.Invocation:
    case Type.StreamInvocation:
      out.target = message.target;
      out.arguments = message.arguments;
      if (message.streamIds) out.streamIds = message.streamIds;
      break;
    case Type.StreamItem:
      out.item = message.item;
      break;
    case Type.Completion:
      if (message.error) out.error = message.error;
      else if (has(message, 'result')) out.result = message.result;
      break;
    case Type.Close:
      if (message.error) out.error = message.error;
      if (message.allowReconnect) out.allowReconnect = true;
      break;
    case Type.Ack:
    case Type.Sequence:
      out.sequenceId = message.sequenceId;
      break;
  }
  return compact(out) + RS;
}

/** The array a message becomes, as values of the vector files. */
export function layout(message) {
  const headers = message.headers ?? {};
  const id = message.invocationId ?? null;
  switch (message.type) {
    case Type.Invocation:
    case Type.StreamInvocation:
      return [message.type, headers, id, message.target, message.arguments, message.streamIds ?? []];
    case Type.StreamItem:
      return [message.type, headers, id, message.item];
    case Type.Completion:
      if (message.error) return [message.type, headers, id, 1, message.error];
      return has(message, 'result') ? [message.type, headers, id, 3, message.result] : [message.type, headers, id, 2];
    case Type.CancelInvocation:
      return [message.type, headers, id];
    case Type.Ping:
      return [message.type];
    case Type.Close:
      return [message.type, message.error ?? null, message.allowReconnect ?? false];
    case Type.Ack:
    case Type.Sequence:
      return [message.type, message.sequenceId];
    default:
      throw new Error(`no layout for type ${message.type}`);
  }
}

export const messagepack = (message) => frame(array(layout(message).map(encode)));
