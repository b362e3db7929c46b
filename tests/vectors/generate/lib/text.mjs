// Writers of JSON text: the pretty printer of the vector files, and the compact form that goes on the wire.

const short = { '"': '\\"', '\\': '\\\\', '\b': '\\b', '\f': '\\f', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** A JSON string literal: escapes what JSON requires and nothing more. */
export function quote(text) {
  let out = '"';
  for (const unit of text) {
    if (short[unit]) out += short[unit];
    else if (unit < ' ') out += '\\u' + unit.charCodeAt(0).toString(16).padStart(4, '0');
    else out += unit;
  }
  return out + '"';
}

/** Compact JSON. A BigInt becomes a plain number, which JSON.stringify refuses to write. */
export function compact(value) {
  if (typeof value === 'string') return quote(value);
  if (Array.isArray(value)) return `[${value.map(compact).join(',')}]`;
  if (value !== null && typeof value === 'object') {
    return `{${Object.entries(value).map(([key, inner]) => `${quote(key)}:${compact(inner)}`).join(',')}}`;
  }
  if (typeof value === 'number' && !Number.isFinite(value)) throw new Error(`JSON has no ${value}`);
  return String(value);
}

/**
 * JSON for the vector files: two spaces, one entry per line, short values on one line, and everything outside printable
 * ASCII escaped, so that a control character or a bidi mark is visible in a diff.
 */
export function pretty(value, indent = '') {
  const flat = ascii(compact(value));
  if (value === null || typeof value !== 'object' || indent.length + flat.length <= 100) return spaced(value);
  const inner = indent + '  ';
  const parts = Array.isArray(value)
    ? value.map((item) => inner + pretty(item, inner))
    : Object.entries(value).map(([key, item]) => `${inner}${ascii(quote(key))}: ${pretty(item, inner)}`);
  const [open, close] = Array.isArray(value) ? '[]' : '{}';
  return `${open}\n${parts.join(',\n')}\n${indent}${close}`;
}

function spaced(value) {
  if (Array.isArray(value)) return `[${value.map(spaced).join(', ')}]`;
  if (value !== null && typeof value === 'object') {
    const parts = Object.entries(value).map(([key, inner]) => `${ascii(quote(key))}: ${spaced(inner)}`);
    return parts.length === 0 ? '{}' : `{ ${parts.join(', ')} }`;
  }
  return ascii(compact(value));
}

function ascii(text) {
  return text.replace(/[^\x20-\x7e]/g, (unit) => '\\u' + unit.charCodeAt(0).toString(16).padStart(4, '0'));
}

export const hex = (bytes) => Buffer.from(bytes).toString('hex');
export const unhex = (text) => new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'));
