/** What a presigned address allows. */
export interface Grant {
  method: 'GET' | 'PUT';
  environment: string;
  key: string;
  expiresMs: number;
  maxBytes: number;
}

export const BLOB_PATH = '/api/blobs';

const encoder = new TextEncoder();

/** `/api/blobs/<environment>/<key>?method=&expires=&max=&signature=`; the signature is HMAC-SHA256 over all of it. */
export async function presignedPath(secret: string, grant: Grant): Promise<string> {
  const key = await importKey(secret);
  const signature = new Uint8Array(await crypto.subtle.sign('HMAC', key, encoder.encode(textOf(grant))));
  const query = new URLSearchParams({
    method: grant.method,
    expires: String(grant.expiresMs),
    max: String(grant.maxBytes),
    signature: Array.from(signature, (byte) => byte.toString(16).padStart(2, '0')).join(''),
  });
  return `${BLOB_PATH}/${encodeURIComponent(grant.environment)}/${encodeURIComponent(grant.key)}?${query}`;
}

/** Null unless the request is exactly what was signed, and in time. */
export async function verifyGrant(
  secret: string,
  request: { method: string; environment: string; key: string; query: Record<string, string> },
  nowMs: number,
): Promise<Grant | null> {
  const { method, query } = request;
  if (method !== 'GET' && method !== 'PUT') return null;
  const signature = bytesOf(query.signature ?? '');
  if (!signature || query.method !== method) return null;
  const grant: Grant = {
    method,
    environment: request.environment,
    key: request.key,
    expiresMs: Number(query.expires),
    maxBytes: Number(query.max),
  };
  const isGenuine = await crypto.subtle.verify(
    'HMAC',
    await importKey(secret),
    signature,
    encoder.encode(textOf(grant)),
  );
  return isGenuine && grant.expiresMs > nowMs ? grant : null;
}

function textOf({ method, environment, key, expiresMs, maxBytes }: Grant): string {
  return JSON.stringify([method, environment, key, expiresMs, maxBytes]);
}

function importKey(secret: string): Promise<CryptoKey> {
  return crypto.subtle.importKey('raw', encoder.encode(secret), { name: 'HMAC', hash: 'SHA-256' }, false, [
    'sign',
    'verify',
  ]);
}

function bytesOf(hex: string): Uint8Array<ArrayBuffer> | null {
  if (!/^[0-9a-f]{64}$/.test(hex)) return null;
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}
