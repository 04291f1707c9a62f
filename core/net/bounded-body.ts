import { joinBytes } from '../model/bytes.ts';

/**
 * Of a body that is too long, read and thrown away: an answer to half a request reaches its sender as a broken connection. As much as the largest
 * request that any of the services takes whose clients come here.
 */
const MAX_DISCARDED_BYTES = 100 * 1_024 * 1_024;

const UTF8 = new TextDecoder();

/** Whether a request says itself that it fits: then it is read in one go, which costs half of a reader. Answers of others may be compressed, so theirs says nothing. */
function declaresAtMost(request: Request, maxBytes: number): boolean {
  const declared = request.headers.get('content-length');
  return declared !== null && Number(declared) <= maxBytes;
}

/** The whole body, or null when it has more than `maxBytes`; never more than that is kept, whatever length was declared. */
export async function readBounded(
  from: Request | ReadableStream<Uint8Array> | null,
  maxBytes: number,
): Promise<Uint8Array<ArrayBuffer> | null> {
  if (from === null || !('headers' in from)) return readStream(from, maxBytes);
  if (!declaresAtMost(from, maxBytes)) return readStream(from.body, maxBytes);
  const bytes = new Uint8Array(await from.arrayBuffer());
  return bytes.byteLength > maxBytes ? null : bytes;
}

/** As `readBounded`, as text of UTF-8. What says itself that it is longer is not read at all. */
export async function readBoundedText(request: Request, maxBytes: number): Promise<string | null> {
  const declared = request.headers.get('content-length');
  if (declared === null) {
    const bytes = await readStream(request.body, maxBytes);
    return bytes && UTF8.decode(bytes);
  }
  if (Number(declared) > maxBytes) return null;
  // As text at once: half of the time of an array that is decoded afterwards.
  const text = await request.text();
  return isLonger(text, maxBytes) ? null : text;
}

/** Whether a text has more bytes: a UTF-16 unit has three at most, so it is rarely encoded to see. */
function isLonger(text: string, maxBytes: number): boolean {
  return text.length * 3 > maxBytes && new TextEncoder().encode(text).byteLength > maxBytes;
}

async function readStream(
  body: ReadableStream<Uint8Array> | null,
  maxBytes: number,
): Promise<Uint8Array<ArrayBuffer> | null> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  const reader = body?.getReader();
  for (;;) {
    const read = await reader?.read();
    if (!read || read.done) break;
    size += read.value.byteLength;
    if (size <= maxBytes) chunks.push(read.value);
    else chunks.length = 0;
    if (size <= maxBytes + MAX_DISCARDED_BYTES) continue;
    await reader?.cancel().catch(() => {});
    break;
  }
  if (size > maxBytes) return null;
  return joinBytes(chunks);
}
