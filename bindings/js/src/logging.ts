/** How serious a log message is. */
export enum LogLevel {
  /** Everything, down to single frames. */
  Trace = 0,
  /** For looking for a fault. */
  Debug = 1,
  /** What one wants to know of a connection that works. */
  Information = 2,
  /** Something that is not as it should be. */
  Warning = 3,
  /** Something that failed. */
  Error = 4,
  /** Something after which nothing works. */
  Critical = 5,
  /** As a threshold: nothing is logged. */
  None = 6,
}

/** Where log messages go. */
export interface ILogger {
  /** Must not throw. */
  log(logLevel: LogLevel, message: string): void;
}

/** Drops every message. */
export class NullLogger implements ILogger {
  /** The only instance. */
  static instance: ILogger = new NullLogger();

  private constructor() {}

  log(_logLevel: LogLevel, _message: string): void {}
}

const METHODS: readonly ("log" | "info" | "warn" | "error")[] = ["log", "log", "info", "warn", "error", "error"];

/** Writes to the console what is at least that serious. */
export const consoleLogger = (minimum: LogLevel): ILogger => ({
  log(level, message) {
    if (level >= minimum) {
      console[METHODS[level] ?? "log"](`[${new Date().toISOString()}] ${LogLevel[level]}: ${message}`);
    }
  },
});

/** The logger that an application means by what it gave. */
export const toLogger = (logging: LogLevel | string | ILogger | null | undefined): ILogger => {
  if (logging === null) {
    return NullLogger.instance;
  }
  if (typeof logging === "object") {
    return logging;
  }
  if (typeof logging === "string") {
    const level = new Map(
      Object.entries({
        trace: 0,
        debug: 1,
        info: 2,
        information: 2,
        warn: 3,
        warning: 3,
        error: 4,
        critical: 5,
        none: 6,
      }),
    ).get(logging.toLowerCase());
    if (level === undefined) {
      throw new Error(`Unknown log level: ${logging}`);
    }
    logging = level;
  }
  return consoleLogger(logging ?? LogLevel.Information);
};
