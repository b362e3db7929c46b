/** What the application is asked: for a token, and when to try again. It may answer with anything. */

import type { BackendEvents, RetryQuestion } from "../../js/src/backend.js";
import { reasonOf, textOf } from "../../js/src/errors.js";

/** A token, none, or why there is none. */
export async function tokenOf(events: BackendEvents): Promise<{ token?: string; error?: string }> {
  let token: unknown;
  try {
    token = await events.token();
  } catch (error) {
    return { error: reasonOf(error) };
  }
  if (token === undefined || token === null) {
    return {};
  }
  if (typeof token !== "string") {
    return { error: "The access token is not a string." };
  }
  return /[^ -~]/.test(token) ? { error: "The access token has characters that no header can have." } : { token };
}

/** A delay in milliseconds, or null: there is to be no other attempt. */
export function delayOf(events: BackendEvents, question: RetryQuestion): number | null {
  const delay: unknown = events.retryDelay(question);
  if (delay === null || (typeof delay === "number" && Number.isFinite(delay))) {
    return delay;
  }
  events.log(4, `The retry policy gave '${textOf(delay)}', which is no number of milliseconds: there is no other attempt.`);
  return null;
}
