/** Negotiate and handshake responses, checked and taken apart for the core. */

import type { Connection } from "../build/wasm/hubwire_web.js";
import { ProtocolFault } from "./codec.js";
import { Input } from "./inputs.js";

type Fields = Record<string, unknown>;

function object(text: string): Fields {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new ProtocolFault("it is not JSON");
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) {
    throw new ProtocolFault("it is not a JSON object");
  }
  return parsed as Fields;
}

function field<T>(fields: Fields, name: string, expected: string, is: (value: unknown) => value is T): T | undefined {
  const value = fields[name];
  if (value === undefined || value === null) {
    return undefined;
  }
  if (!is(value)) {
    throw new ProtocolFault(`'${name}' is not ${expected}`);
  }
  return value;
}

const isText = (value: unknown): value is string => typeof value === "string";
const isFlag = (value: unknown): value is boolean => typeof value === "boolean";
const isList = (value: unknown): value is unknown[] => Array.isArray(value);
const isCount = (value: unknown): value is number => typeof value === "number" && Number.isInteger(value) && value >= 0;
const isObject = (value: unknown): value is Fields => typeof value === "object" && value !== null && !isList(value);
const text = (fields: Fields, name: string): string | undefined => field(fields, name, "a string", isText) || undefined;

function needed(fields: Fields, name: string): string {
  const value = text(fields, name);
  if (value === undefined) {
    throw new ProtocolFault(`'${name}' is missing`);
  }
  return value;
}

/** A transport and what it carries: bit 1 text, bit 2 binary. */
function transport(entry: unknown): [name: string, formats: number] | undefined {
  if (!isObject(entry) || !isText(entry["transport"])) {
    return undefined;
  }
  const formats = isList(entry["transferFormats"]) ? entry["transferFormats"] : [];
  return [entry["transport"], +formats.includes("Text") | (+formats.includes("Binary") << 1)];
}

/** The body of a negotiate response (transport protocol, `POST …/negotiate`). */
export function negotiated(core: Connection, now: number, request: number, body: string): void {
  try {
    const fields = object(body);
    if ("ProtocolVersion" in fields) {
      throw new ProtocolFault("the server is an ASP.NET SignalR server; only ASP.NET Core SignalR can be reached");
    }
    const error = text(fields, "error");
    const url = text(fields, "url");
    if (error !== undefined) {
      return core.input(Input.Refused, now, request, 0, 0, error);
    }
    if (url !== undefined) {
      return core.input(Input.Redirected, now, request, 0, 0, url, text(fields, "accessToken"));
    }
    // A server may answer with a higher version than was asked for; what is known is 0 and 1.
    const version = Math.min(field(fields, "negotiateVersion", "an integer of at least 0", isCount) ?? 0, 1);
    const id = needed(fields, "connectionId");
    const token = version > 0 ? needed(fields, "connectionToken") : undefined;
    const transports = (field(fields, "availableTransports", "an array", isList) ?? []).map(transport).filter((entry) => entry);
    const stateful = field(fields, "useStatefulReconnect", "a boolean", isFlag) ?? false;
    const lifetime = field(fields, "tokenLifetimeSeconds", "a number", isCount) ?? -1;
    // Other servers may have a property of that name.
    const ours = field(fields, "hubwire", "an object", isObject);
    const count = (name: string, none: number): number => (isCount(ours?.[name]) ? ours[name] : none);
    const features = isList(ours?.["features"]) ? ours["features"] : [];
    const epoch = isText(ours?.["epoch"]) ? ours["epoch"] : undefined;
    const extensions = ours ? count("version", 0) : -1;
    const all = [id, token, version, stateful, lifetime, extensions, epoch, count("dedupeWindowMs", -1)];
    core.negotiated(now, request, all, transports, features);
  } catch (fault) {
    if (!(fault instanceof ProtocolFault)) {
      throw fault;
    }
    core.input(Input.Refused, now, request, 0, 1, fault.message);
  }
}

/** The first record of a link, without its terminator. */
export function handshaken(core: Connection, now: number, link: number, record: string): void {
  try {
    const fields = object(record);
    if ("type" in fields) {
      throw new ProtocolFault("expected a handshake response, got a hub message (it has a 'type')");
    }
    core.input(Input.Handshaken, now, link, 0, 0, field(fields, "error", "a string", isText));
  } catch (fault) {
    if (!(fault instanceof ProtocolFault)) {
      throw fault;
    }
    core.input(Input.Handshaken, now, link, 0, 1, fault.message);
  }
}
