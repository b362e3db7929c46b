/** Errors of the native module. */

import type { ErrorKind, Fault } from "../../js/src/backend.js";
import { HubError } from "../../js/src/errors.js";

const KINDS: ReadonlySet<unknown> = new Set<ErrorKind>([
  "Misuse", "Protocol", "Refused", "Network", "Timeout", "Cancelled", "Overflow", "Gap", "OutcomeUnknown",
]);

/** What was thrown, by the native module or before it was asked. */
export function faultOf(thrown: unknown): Fault {
  if (thrown instanceof HubError) {
    return { kind: thrown.kind, text: thrown.message };
  }
  const { code, message } = (thrown ?? {}) as { code?: unknown; message?: string };
  // Others are of arguments that are of another type than the TypeScript says.
  const kind = KINDS.has(code) ? (code as ErrorKind) : "Misuse";
  return { kind, text: message ?? String(thrown) };
}
