import { base64Url } from './encoding.ts';

/** `{"alg":"HS256","typ":"JWT"}` */
const HEADER = 'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9';
const LIFETIME_S = 300;
const MAX_CACHED_KEYS = 32;
const encoder = new TextEncoder();
const keys = new Map<string, Promise<CryptoKey>>();

/** The key is the text `sig_...` itself, not what it may encode. Imported once per isolate. */
function importKey(secret: string): Promise<CryptoKey> {
  let key = keys.get(secret);
  if (!key) {
    if (keys.size >= MAX_CACHED_KEYS) keys.clear();
    key = crypto.subtle.importKey('raw', encoder.encode(secret), { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
    keys.set(secret, key);
  }
  return key;
}

/**
 * The `Upstash-Signature` of one attempt: a JWT over the destination and the hash of the body.
 * `nbf` is 0 so that a receiver whose clock is behind accepts it (Upstash changelog 09/2024); receivers require that it is there.
 */
export async function sign(secret: string, url: string, body: Uint8Array, nowMs: number): Promise<string> {
  const [key, digest] = await Promise.all([
    importKey(secret),
    crypto.subtle.digest('SHA-256', body as Uint8Array<ArrayBuffer>),
  ]);
  const iat = Math.floor(nowMs / 1000);
  const claims = JSON.stringify({
    iss: 'Upstash',
    sub: url,
    exp: iat + LIFETIME_S,
    nbf: 0,
    iat,
    jti: `jwt_${crypto.randomUUID()}`,
    body: base64Url(new Uint8Array(digest)),
  });
  const signed = `${HEADER}.${base64Url(encoder.encode(claims))}`;
  const mac = await crypto.subtle.sign('HMAC', key, encoder.encode(signed));
  return `${signed}.${base64Url(new Uint8Array(mac))}`;
}
