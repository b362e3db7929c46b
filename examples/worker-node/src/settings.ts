/** What the programs are told: by the environment, as services are. */
import { readFileSync } from "node:fs";

/** Something that is missing or not possible in what the program was told. */
export class SettingsError extends Error {}

/** Of a variable that must be there. */
function variable(name: string): string {
  const value = process.env[name];
  if (!value) throw new SettingsError(`${name} is not set.`);
  return value;
}

/** The address of the server, without a hub. */
export function serverUrl(): string {
  const url = variable("TASKS_URL");
  if (!URL.canParse(url)) throw new SettingsError(`TASKS_URL is no address: ${url}`);
  return url.replace(/\/+$/, "");
}

/** Asked for each connection, so that a token in a file can be replaced while the program runs. */
export function accessToken(): string {
  const file = process.env["TASKS_TOKEN_FILE"];
  return file ? readFileSync(file, "utf8").trim() : variable("TASKS_TOKEN");
}

/** The file for what has not reached the server. One process at a time can have it. */
export const outboxFile = (): string => process.env["TASKS_OUTBOX"] ?? "worker-outbox.redb";

/** What the programs return to who started them. */
export const EXIT = {
  done: 0,
  failed: 1,
  /** As EX_USAGE of sysexits.h. */
  settings: 64,
  /** As EX_TEMPFAIL: reports wait in the file for the next start. */
  later: 75,
} as const;
