import type { Cause, ConnectionEvent, ErrorKind, Fault } from "./backend.js";
import type { WithErrors } from "./options.js";

/**
 * An error of Hubwire. `kind` says whose fault it is:
 *
 * - `Misuse`: the caller's; `Refused`: the server said no, with its text; `Protocol`: the server broke the rules;
 * - `Network`, `Timeout`, `Cancelled`: as they say;
 * - `Overflow`: a limit of this client was reached; `Gap`: messages were lost;
 * - `OutcomeUnknown`: the call was sent and not answered; it may have run or not.
 */
export class HubError extends Error {
  readonly kind: ErrorKind;

  constructor(kind: ErrorKind, message: string) {
    super(message);
    this.name = "HubError";
    this.kind = kind;
  }
}

/** Of the kind `Timeout`. */
export class TimeoutError extends HubError {
  constructor(errorMessage = "A timeout occurred.") {
    super("Timeout", errorMessage);
    this.name = "TimeoutError";
  }
}

/**
 * Of the kind `Cancelled`. Its name is that of the errors of `AbortSignal`s; where a signal caused it, `cause` is the
 * reason of that signal.
 */
export class AbortError extends HubError {
  constructor(errorMessage = "An abort occurred.") {
    super("Cancelled", errorMessage);
    this.name = "AbortError";
  }
}

/** An HTTP request was answered with a status that is no success. */
export class HttpError extends HubError {
  statusCode: number;

  constructor(errorMessage: string, statusCode: number) {
    super("Refused", `${errorMessage}: Status code '${statusCode}'`);
    this.name = "HttpError";
    this.statusCode = statusCode;
  }
}

/** The error that the application gets for one of the core. */
export const toError = ({ kind, text }: Fault): HubError =>
  kind === "Cancelled" ? new AbortError(text) : kind === "Timeout" ? new TimeoutError(text) : new HubError(kind, text);

/** Anything that was thrown, as text. */
export const textOf = (thrown: unknown): string => {
  try {
    return String(thrown);
  } catch {
    return "Unknown error";
  }
};

/** What is said to the server of something that application code threw. */
export const reasonOf = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : textOf(thrown));

/** For what came from the platform, and may be of any kind. */
export const asHubError = (thrown: unknown): HubError =>
  thrown instanceof HubError ? thrown : new HubError("Network", reasonOf(thrown));

/** Makes errors of the faults in something. */
export const withErrors = <T extends Cause | ConnectionEvent>(value: T): WithErrors<T> => {
  const { error, reason } = value as { error?: Fault; reason?: Fault };
  return {
    ...value,
    ...(error && { error: toError(error) }),
    ...(reason && { reason: toError(reason) }),
  } as WithErrors<T>;
};
