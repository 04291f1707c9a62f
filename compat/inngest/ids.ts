import { IdFactory } from '../../core/model/ids.ts';

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
/** Bytes of randomness of a ULID. */
const ENTROPY_BYTES = 10;
/** The largest time that a ULID holds. */
const MAX_TIME_MS = 281_474_976_710_655;

const factory = new IdFactory({ next: () => (crypto.getRandomValues(new Uint32Array(1))[0] as number) / 2 ** 32 }, 0);

/** A fresh id for an event that arrived now. */
export function newEventId(nowMs: number): string {
  return factory.next(nowMs);
}

export interface IdSeed {
  timeMs: number;
  entropy: Uint8Array;
}

/** Header `x-inngest-event-id-seed`: `<ms>,<base64 of 10 bytes>`. Null when it is of another form: then ids are random. */
export function parseIdSeed(header: string | undefined): IdSeed | null {
  const match = /^(\d{1,15}),([A-Za-z0-9+/_-]{14}={0,2})$/.exec(header ?? '');
  if (!match) return null;
  const timeMs = Number(match[1]);
  if (timeMs > MAX_TIME_MS) return null;
  const binary = atob((match[2] as string).replaceAll('-', '+').replaceAll('_', '/'));
  if (binary.length !== ENTROPY_BYTES) return null;
  return { timeMs, entropy: Uint8Array.from(binary, (char) => char.charCodeAt(0)) };
}

/** The id of the `index`-th event (from 1) of a request: the last four bytes of its entropy are counted up (inngest/inngest: pkg/event SeededID). */
export function seededId(seed: IdSeed, index: number): string {
  const bytes = new Uint8Array(seed.entropy);
  const view = new DataView(bytes.buffer);
  view.setUint32(ENTROPY_BYTES - 4, (view.getUint32(ENTROPY_BYTES - 4) + index) >>> 0);
  return ulid(seed.timeMs, bytes);
}

/** The time that a ULID holds. */
export function idTimeMs(id: string): number {
  let ms = 0;
  for (const char of id.slice(0, 10)) ms = ms * 32 + Math.max(0, ALPHABET.indexOf(char));
  return ms;
}

/** An id that the same text at the same time always has, for what the vendor names and this server keeps no row of. */
export function derivedUlid(timeMs: number, text: string): string {
  const bytes = new Uint8Array(ENTROPY_BYTES);
  let hash = 0x811c9dc5;
  for (let i = 0; i < ENTROPY_BYTES; i++) {
    for (const char of text) hash = Math.imul(hash ^ (char.codePointAt(0) as number), 0x01000193);
    bytes[i] = (hash >>> 13) & 0xff;
  }
  return ulid(timeMs, bytes);
}

function ulid(timeMs: number, entropy: Uint8Array): string {
  let head = '';
  let rest = timeMs;
  for (let i = 0; i < 10; i++) {
    head = (ALPHABET[rest % 32] as string) + head;
    rest = Math.floor(rest / 32);
  }
  let tail = '';
  let bits = 0;
  let value = 0;
  for (const byte of entropy) {
    value = (value << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      tail += ALPHABET[(value >> bits) & 31] as string;
    }
    value &= (1 << bits) - 1;
  }
  return head + tail;
}
