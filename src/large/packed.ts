/**
 * A message between objects may have 32 MiB (Cloudflare documentation: "RPC: limitations"; the runtime refuses a longer one before it sends it). What is longer
 * goes as a stream of bytes, which has no such limit: JSON, with bytes as base 64.
 */
export type Packed = ReadableStream<Uint8Array>;

/** What a message should carry: half of what the runtime allows, for what the estimate of `isLarge` leaves out. */
export const MESSAGE_BYTES = 16 * 1024 * 1024;

/** Objects of ours hold payloads as strings and bytes, never as objects, so this name stands for bytes only. */
const BYTES = '$bytes';

export function pack(value: unknown): Packed {
  const text = JSON.stringify(value, (_key, part: unknown) =>
    part instanceof Uint8Array ? { [BYTES]: toBase64(part) } : part,
  );
  return new Response(text).body as Packed;
}

export async function unpack<T>(packed: Packed): Promise<T> {
  const text = await new Response(packed).text();
  return JSON.parse(text, (_key, part: unknown) =>
    typeof part === 'object' && part !== null && BYTES in part && typeof part[BYTES] === 'string'
      ? fromBase64(part[BYTES])
      : part,
  ) as T;
}

/** The runtime's refusal of a message for its size: nothing of it has been sent. Known by its text only. */
export function isTooLarge(error: unknown): boolean {
  return error instanceof Error && /Serialized RPC arguments or return values are limited to/i.test(error.message);
}

/** Whether payloads come to more than a message should carry; two-byte text is counted as such. */
export function isLarge(value: unknown, limitBytes: number): boolean {
  return sizeOf(value, limitBytes) > limitBytes;
}

function sizeOf(value: unknown, enough: number): number {
  if (typeof value === 'string') return 2 * value.length;
  if (value instanceof Uint8Array) return value.byteLength;
  if (typeof value !== 'object' || value === null) return 8;
  let size = 0;
  for (const part of Object.values(value)) {
    size += sizeOf(part, enough);
    if (size > enough) return size;
  }
  return size;
}

interface WithBase64 {
  toBase64(): string;
}

/** `String.fromCharCode` takes its bytes as arguments; engines allow about 65,000. */
const CHUNK = 0x8000;

function toBase64(bytes: Uint8Array): string {
  if ('toBase64' in bytes) return (bytes as unknown as WithBase64).toBase64();
  let binary = '';
  for (let i = 0; i < bytes.length; i += CHUNK) binary += String.fromCharCode(...bytes.subarray(i, i + CHUNK));
  return btoa(binary);
}

function fromBase64(text: string): Uint8Array {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}
