import { sameText, toHex } from './hex.ts';

/** Both directions refuse older and newer ones (npm inngest: RequestSignature.hasExpired). */
const MAX_SKEW_SECONDS = 300;
/** Keys are few; the bound only keeps a rotation from growing the table for ever. */
const MAX_CACHED_KEYS = 16;

const encoder = new TextEncoder();
const keys = new Map<string, Promise<CryptoKey>>();

function importKey(signingKey: string): Promise<CryptoKey> {
  let key = keys.get(signingKey);
  if (!key) {
    if (keys.size >= MAX_CACHED_KEYS) keys.clear();
    const raw = encoder.encode(withoutPrefix(signingKey));
    key = crypto.subtle.importKey('raw', raw, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
    keys.set(signingKey, key);
  }
  return key;
}

/** The key proper: what stands after `signkey-<environment>-`. */
export function withoutPrefix(signingKey: string): string {
  return signingKey.replace(/^signkey-\w+-/, '');
}

async function digest(signingKey: string, body: string, seconds: number | string): Promise<string> {
  const signature = await crypto.subtle.sign('HMAC', await importKey(signingKey), encoder.encode(body + seconds));
  return toHex(new Uint8Array(signature));
}

/** Value of `x-inngest-signature`. The key's text is the HMAC key, not its hex-decoded bytes (inngest/inngest: httpdriver/util.go Sign). */
export async function sign(signingKey: string, body: string, nowMs: number): Promise<string> {
  const seconds = Math.floor(nowMs / 1000);
  return `t=${seconds}&s=${await digest(signingKey, body, seconds)}`;
}

export async function verify(signingKey: string, body: string, header: string, nowMs: number): Promise<boolean> {
  const params = new URLSearchParams(header);
  const seconds = Number(params.get('t'));
  if (!Number.isInteger(seconds) || Math.abs(nowMs / 1000 - seconds) > MAX_SKEW_SECONDS) return false;
  return sameText(await digest(signingKey, body, params.get('t') ?? ''), params.get('s') ?? '');
}
