import { MAX_JSON_BYTES } from './constants.ts';
import { WireError } from './errors.ts';

const MAX_DISCARDED_BYTES = 200_000_000;

/** The whole body, in memory up to `maxBytes`. Throws 413 when it is larger. */
export async function readBody(request: Request, maxBytes: number): Promise<Uint8Array> {
  const declared = request.headers.get('content-length');
  if (declared !== null) {
    if (Number(declared) > maxBytes) {
      await discard(request, Number(declared));
      throw tooLarge(maxBytes);
    }
    return new Uint8Array(await request.arrayBuffer());
  }
  if (!request.body) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  let size = 0;
  const reader = request.body.getReader();
  for (;;) {
    const { done, value } = (await reader.read()) as { done: boolean; value?: Uint8Array };
    if (done || !value) break;
    size += value.byteLength;
    if (size > maxBytes) {
      await reader.cancel();
      throw tooLarge(maxBytes);
    }
    chunks.push(value);
  }
  const bytes = new Uint8Array(size);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return bytes;
}

/** A client that is still sending when the answer comes sees a broken connection instead: what is bearable is read and dropped. */
async function discard(request: Request, declaredBytes: number): Promise<void> {
  if (declaredBytes > MAX_DISCARDED_BYTES || !request.body) return;
  await request.body.pipeTo(new WritableStream());
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
