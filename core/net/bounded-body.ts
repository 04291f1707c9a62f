/** Of a body that is too long, read and thrown away: an answer to half a request reaches its sender as a broken connection. */
const MAX_DISCARDED_BYTES = 32 * 1_024 * 1_024;

/** The whole body, or null when it has more than `maxBytes`; never more than that is kept, whatever length was declared. */
export async function readBounded(
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
  const whole = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.byteLength;
  }
  return whole;
}
