/** The native module: as `napi` made it, found for this platform. */

/** One connection. Ids are whole numbers; errors have their kind as `code`. */
export interface NativeConnection {
  readonly number: number;
  start(ticket: number): void;
  stop(): void;
  callText(call: number, kind: number, target: string, args: string, uploads?: number[], options?: string): boolean;
  callBytes(call: number, kind: number, target: string, args: Uint8Array, uploads?: number[], options?: string): boolean;
  cancel(call: number): void;
  uploadText(upload: number, item: string): boolean;
  uploadBytes(upload: number, item: Uint8Array): boolean;
  endUpload(upload: number, error?: string): void;
  handled(delivery: number, reason?: string): void;
  acknowledge(messageId: string): void;
  nack(messageId: string, reason: string): void;
  replyText(reply: number, value: string): void;
  replyBytes(reply: number, value: Uint8Array): void;
  replyWithout(reply: number, kind: number, error?: string): void;
  retryAfter(request: number, delay?: number): void;
  token(question: number, token?: string, error?: string): void;
  hint(hint: number): void;
  metrics(question: number): void;
  positions(question: number): void;
  configure(url?: string, keepAliveInterval?: number, serverTimeout?: number): void;
  dispose(): void;
}

/** Makes connections, and brings what happened on them. */
export interface NativeCourier {
  take(): string | Uint8Array | null;
  pause(): void;
  connect(settings: string): NativeConnection;
  close(): void;
}

/** What the module exports. */
export interface NativeModule {
  Courier: new (wake: () => void) => NativeCourier;
}

/** Names of platforms that have glibc and musl. */
function suffix(): string {
  switch (process.platform) {
    case "linux": {
      const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
      return report.header?.glibcVersionRuntime ? "-gnu" : "-musl";
    }
    case "win32":
      return "-msvc";
    default:
      return "";
  }
}

let found: NativeModule | undefined;

/** The module, loaded with the first connection. Throws what says where it was looked for. */
export function native(): NativeModule {
  if (found) {
    return found;
  }
  const name = `${process.platform}-${process.arch}${suffix()}`;
  // Built from source, beside this file; else from the package of the platform.
  const places = [`./hubwire.${name}.node`, `@hubwire/node-${name}`];
  const reasons = [];
  for (const place of places) {
    try {
      found = require(place) as NativeModule;
      return found;
    } catch (error) {
      reasons.push(`${place}: ${error instanceof Error ? error.message.split("\n")[0] : String(error)}`);
    }
  }
  throw new Error(
    `The native module of @hubwire/node for ${name} cannot be loaded. Was the package installed without optional dependencies? ${reasons.join("; ")}`,
  );
}
