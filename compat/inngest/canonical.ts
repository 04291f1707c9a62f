/**
 * RFC 8785 (JSON canonicalisation): members sorted by UTF-16 code units, numbers and strings as ECMAScript writes them.
 * Text in this form is spliced into request bodies as it is, so a memo is parsed once, when it arrives.
 */

/** Deeper values are refused rather than risked on the stack. */
const MAX_DEPTH = 512;

export class NestingError extends Error {
  constructor() {
    super(`nested deeper than ${MAX_DEPTH} levels`);
    this.name = 'NestingError';
  }
}

/** Canonical text of a value that came out of JSON.parse. Throws NestingError. */
export function canonicalJson(value: unknown, depth = 0): string {
  if (value === null || typeof value !== 'object') return JSON.stringify(value) ?? 'null';
  if (depth > MAX_DEPTH) throw new NestingError();
  if (Array.isArray(value)) {
    let text = '[';
    for (let i = 0; i < value.length; i++) text += (i === 0 ? '' : ',') + canonicalJson(value[i], depth + 1);
    return text + ']';
  }
  const object = value as Record<string, unknown>;
  const keys = Object.keys(object);
  if (keys.length > 1) keys.sort();
  let text = '{';
  for (const key of keys) {
    const member = object[key];
    if (member === undefined) continue;
    text += `${text === '{' ? '' : ','}${JSON.stringify(key)}:${canonicalJson(member, depth + 1)}`;
  }
  return text + '}';
}

/** An object whose members are already canonical text. */
export function canonicalObject(members: Array<readonly [key: string, text: string | undefined]>): string {
  const present = members.filter((member): member is readonly [string, string] => member[1] !== undefined);
  present.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return `{${present.map(([key, text]) => `${JSON.stringify(key)}:${text}`).join(',')}}`;
}
