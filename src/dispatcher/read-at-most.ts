import { joinBytes } from '../../core/model/bytes.ts';

/** What the runtime hands out at once where it is not told how much is wanted. A piece of this size has more behind it. */
const FULL_PIECE_BYTES = 4 * 1_024;
const GROWTH = 4;
const MAX_PIECE_BYTES = 1_024 * 1_024;

export interface Read {
  body: Uint8Array;
  truncated: boolean;
}

/**
 * Reads a stream of bytes to its end or up to `maxBytes`, and leaves the rest. A short body as it comes; a long one in ever larger pieces, each of them
 * waited for until it is full: a round through the runtime for every 4 KiB of a body of megabytes would take longer than its bytes.
 */
export async function readAtMost(stream: ReadableStream<Uint8Array> | null, maxBytes: number): Promise<Read> {
  if (!stream) return { body: new Uint8Array(), truncated: false };
  const pieces: Uint8Array[] = [];
  let size = 0;
  const take = (piece: Uint8Array): void => {
    pieces.push(piece);
    size += piece.byteLength;
  };
  const reader = stream.getReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return { body: joinBytes(pieces), truncated: false };
    take(value);
    if (size > maxBytes) return cut(reader, pieces, maxBytes);
    if (value.byteLength >= FULL_PIECE_BYTES) break;
  }
  reader.releaseLock();
  const longer = stream.getReader({ mode: 'byob' });
  for (let pieceBytes = FULL_PIECE_BYTES * GROWTH; ; pieceBytes = Math.min(pieceBytes * GROWTH, MAX_PIECE_BYTES)) {
    // One byte more than there is room for: it tells whether anything is left.
    const wanted = Math.min(pieceBytes, maxBytes - size + 1);
    const { value, done } = await longer.readAtLeast(wanted, new Uint8Array(wanted));
    if (value) take(value);
    if (size > maxBytes) return cut(longer, pieces, maxBytes);
    if (done || value.byteLength < wanted) return { body: joinBytes(pieces), truncated: false };
  }
}

async function cut(
  reader: { cancel(): Promise<void> },
  pieces: readonly Uint8Array[],
  maxBytes: number,
): Promise<Read> {
  await reader.cancel().catch(() => {});
  return { body: joinBytes(pieces).subarray(0, maxBytes), truncated: true };
}
