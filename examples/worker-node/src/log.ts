/** Structured logs: one JSON object a line, on standard output. */
import { LogLevel, type ILogger } from "@hubwire/node";

/** What happened, and what belongs to it. */
export function log(event: string, fields: Readonly<Record<string, unknown>> = {}): void {
  process.stdout.write(`${JSON.stringify({ time: new Date().toISOString(), event, ...fields })}\n`);
}

/** For `configureLogging`: warnings and errors of the connection. */
export const connectionLogger: ILogger = {
  log(level, message) {
    if (level >= LogLevel.Warning) log("connection", { level: LogLevel[level], message });
  },
};

/** The text of whatever was thrown. */
export const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
