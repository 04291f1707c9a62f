import { readBounded } from '../../core/net/bounded-body.ts';
import { MAX_JSON_BYTES } from './constants.ts';
import { WireError } from './errors.ts';

/** The whole body, in memory up to `maxBytes`. Throws 413 when it is larger. */
export async function readBody(request: Request, maxBytes: number): Promise<Uint8Array> {
  const bytes = await readBounded(request, maxBytes);
  if (bytes === null) throw tooLarge(maxBytes);
  return bytes;
}

/** Throws 400 when the body is not JSON. An empty body is undefined. */
export async function readJson(request: Request, maxBytes = MAX_JSON_BYTES): Promise<unknown> {
  const bytes = await readBody(request, maxBytes);
  if (bytes.byteLength === 0) return undefined;
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes)) as unknown;
  } catch {
    throw new WireError(400, 'invalid body: it is not JSON');
  }
}

export function tooLarge(maxBytes: number): WireError {
  return new WireError(413, `quota exceeded: the body is larger than ${maxBytes} bytes`);
}
