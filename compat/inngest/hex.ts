const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));
const encoder = new TextEncoder();

export function toHex(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += HEX[byte];
  return text;
}

/** Decodes pairs of hex digits and, like Node and the SDKs' hash library, stops at the first that is none. */
export function fromHex(text: string): Uint8Array<ArrayBuffer> {
  const valid = /^(?:[0-9a-fA-F]{2})*/.exec(text)?.[0] ?? '';
  const bytes = new Uint8Array(valid.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(valid.slice(i * 2, i * 2 + 2), 16);
  return bytes;
}

/**
 * The same for a text that is not hex, or of odd length, as the TypeScript SDK's hash library reads it (npm hash.js: utils.toArray): other
 * characters are left out, a zero is put before an odd number of digits, and what is no digit counts nothing.
 */
export function fromLooseHex(text: string): Uint8Array<ArrayBuffer> {
  const kept = text.replace(/[^a-z0-9]+/gi, '');
  const even = kept.length % 2 === 0 ? kept : `0${kept}`;
  const bytes = new Uint8Array(even.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(even.slice(i * 2, i * 2 + 2), 16) || 0;
  return bytes;
}

export async function sha256Hex(data: string | Uint8Array<ArrayBuffer>): Promise<string> {
  return toHex(
    new Uint8Array(await crypto.subtle.digest('SHA-256', typeof data === 'string' ? encoder.encode(data) : data)),
  );
}

/** Time does not depend on where the texts differ. */
export function sameText(a: string, b: string): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= a.charCodeAt(i) ^ b.charCodeAt(i);
  return difference === 0;
}

/** A UUID that depends on the text alone: first half of its SHA-256, with version 8 (RFC 9562: custom) and variant set. */
export async function uuidOf(text: string): Promise<string> {
  const hex = await sha256Hex(text);
  const variant = HEX[(Number.parseInt(hex.slice(16, 18), 16) & 0x3f) | 0x80] as string;
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(18, 20)}-${hex.slice(20, 32)}`;
}

/**
 * Id of a step as the wire has it: SHA-1 of the app's own name for it; from its second use on with its number (npm inngest: hashId). One that
 * is hashed already is taken as it is: the SDK names the step that it is in so.
 */
export async function hashedStepId(id: string, index = 0): Promise<string> {
  if (/^[0-9a-f]{40}$/.test(id)) return id;
  const text = index > 0 ? `${id}:${index}` : id;
  return toHex(new Uint8Array(await crypto.subtle.digest('SHA-1', new TextEncoder().encode(text))));
}
