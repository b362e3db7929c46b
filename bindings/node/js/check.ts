/** What TypeScript refuses, for callers that have none: the native module would speak of types of its own. */

import { HubError, textOf } from "../../js/src/errors.js";

const kindOf = (value: unknown): string => (value === null ? "null" : typeof value);

export function checkText(value: unknown, what: string): void {
  if (typeof value !== "string") {
    throw new HubError("Misuse", `${what} must be a string, and is ${kindOf(value)}.`);
  }
}

/** Servers end the connection for a call without a name. */
export function checkMethod(value: unknown): void {
  checkText(value, "The name of a method");
  if (value === "") {
    throw new HubError("Misuse", "The name of a method must not be empty.");
  }
}

/** A time in milliseconds. How long it may be is for the native module to say. */
export function checkTime(value: unknown, what: string): void {
  if (typeof value !== "number") {
    throw new HubError("Misuse", `${what} must be a number of milliseconds, and is ${kindOf(value)}.`);
  }
}

/** For `JSON.stringify` of options: values that JSON cannot have would be left out or become null without a word. */
export function isPlain(name: string, value: unknown): unknown {
  const isOther = typeof value === "bigint" || typeof value === "symbol" || typeof value === "function";
  if (isOther || (typeof value === "number" && !Number.isFinite(value))) {
    throw new HubError("Misuse", `The option '${name}' is not possible: ${textOf(value)}`);
  }
  return value;
}
