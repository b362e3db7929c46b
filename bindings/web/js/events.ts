/** The events of the core that are about the connection, put together again from what crosses the border. */

import type { Cause, ConnectionEvent, ErrorKind, Fault, Grade, Metrics } from "../../js/src/backend.js";

/** A time that is not known crosses the border as -1. */
const optional = (time: number): number | null => (time < 0 ? null : time);

export const faultOf = (kind: string | undefined, text: string | undefined): Fault | undefined =>
  kind === undefined ? undefined : { kind: kind as ErrorKind, text: text ?? "" };

export function causeOf(
  cause: string,
  allowReconnect: boolean,
  connectionId: string | undefined,
  previousConnectionId: string | undefined,
  error: Fault | undefined,
): Cause {
  switch (cause) {
    case "established":
      return { type: cause, connectionId: connectionId ?? null, previousConnectionId: previousConnectionId ?? null };
    case "serverClosed":
      return { type: cause, allowReconnect };
    default:
      return error ? { type: "failed", error } : { type: "requested" };
  }
}

/** Numbers and texts as `outputs.rs` gives them. */
export function eventOf(name: string, [a, b, c]: number[], texts: string[]): ConnectionEvent | undefined {
  const error = faultOf(texts[0], texts[1]) as Fault;
  switch (name) {
    case "resumed":
      return { type: name };
    case "retryScheduled":
      return { type: name, previousRetryCount: a!, delay: b!, reason: error };
    case "outboxChanged":
      return { type: name, outbox: { depth: a!, bytes: b!, oldestAge: optional(c!) } };
    case "storeFailed":
      return { type: name, error };
    case "rejoinFailed":
      return { type: name, target: texts[2]!, error };
    case "gap":
      return {
        type: name,
        source: texts.length > 3 ? { type: "object", target: texts[2]!, key: texts[3]! } : { type: "stream", stream: texts[2]! },
        error,
      };
    case "qualityChanged":
      return { type: name, quality: { grade: texts[0] as Grade, rtt: optional(a!), jitter: b! } };
    case "tokenRefreshed":
      return { type: name, error: error ?? null };
    default:
      return undefined;
  }
}

/** Numbers in the order of `metrics_numbers`, and the grade. */
export function metricsOf(flat: unknown[]): Metrics {
  const at = (index: number): number => flat[index] as number;
  const names = [
    "connections", "reconnections", "resumes", "retries", "messagesSent", "messagesReceived", "duplicatesDropped",
    "gaps", "acknowledged", "nacked", "malformed", "recoveries", "snapshots",
  ];
  return {
    ...(Object.fromEntries(names.map((name, index) => [name, at(index)])) as unknown as Metrics),
    outbox: { depth: at(13), bytes: at(14), oldestAge: optional(at(16)) },
    connectLatency: optional(at(15)),
    quality: { rtt: optional(at(17)), jitter: at(18), grade: flat[19] as Grade },
  };
}
