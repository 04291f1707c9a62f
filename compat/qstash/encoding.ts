import type { Payload } from '../../core/model/payload.ts';

const encoder = new TextEncoder();
const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
/** `String.fromCharCode` takes its bytes as arguments; engines allow about 65,000. */
const CHUNK = 0x8000;

interface WithBase64 {
  toBase64(options?: { alphabet: 'base64' | 'base64url'; omitPadding?: boolean }): string;
}

export function bytesOf(payload: Payload | null): Uint8Array {
  if (payload === null) return new Uint8Array();
  return typeof payload === 'string' ? encoder.encode(payload) : payload;
}

/** Text where the bytes are UTF-8 (read and shown more easily), the bytes themselves otherwise. */
export function payloadOf(bytes: Uint8Array): Payload {
  if (bytes.byteLength === 0) return '';
  try {
    return strictDecoder.decode(bytes);
  } catch {
    return bytes;
  }
}

export function base64(payload: Payload | null): string {
  const bytes = bytesOf(payload);
  if ('toBase64' in bytes) return (bytes as unknown as WithBase64).toBase64();
  let binary = '';
  for (let i = 0; i < bytes.length; i += CHUNK) binary += String.fromCharCode(...bytes.subarray(i, i + CHUNK));
  return btoa(binary);
}

export function base64Url(bytes: Uint8Array): string {
  if ('toBase64' in bytes)
    return (bytes as unknown as WithBase64).toBase64({ alphabet: 'base64url', omitPadding: true });
  return base64(bytes).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

/** Null when the text is not base 64. */
export function fromBase64(text: string): Uint8Array | null {
  let binary: string;
  try {
    binary = atob(text);
  } catch {
    return null;
  }
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

/** `body` where the payload is text, `bodyBase64` where it is not, neither where it is empty. */
export function bodyFields(payload: Payload | null, name: 'body' | 'responseBody' = 'body'): Record<string, string> {
  if (payload === null || payload.length === 0) return {};
  return typeof payload === 'string' ? { [name]: payload } : { [`${name}Base64`]: base64(payload) };
}

export async function sha256Hex(payload: Payload): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytesOf(payload) as Uint8Array<ArrayBuffer>));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
