/** Most answers are shorter: they take one read. What is longer is read in ever larger pieces. */
const FIRST_BYTES = 4 * 1_024;
const GROWTH = 4;
const MAX_PIECE_BYTES = 1_024 * 1_024;

/**
 * Reads a stream of bytes to its end or up to `maxBytes`, and leaves the rest. Each read waits until its piece is full: less means that the stream
 * is at its end, so a short answer takes one round through the runtime and not two.
 */
export async function readAtMost(
  stream: ReadableStream<Uint8Array> | null,
  maxBytes: number,
): Promise<{ body: Uint8Array; truncated: boolean }> {
  if (!stream) return { body: new Uint8Array(), truncated: false };
  const reader = stream.getReader({ mode: 'byob' });
  const pieces: Uint8Array[] = [];
  let size = 0;
  for (let pieceBytes = FIRST_BYTES; ; pieceBytes = Math.min(pieceBytes * GROWTH, MAX_PIECE_BYTES)) {
    // One byte more than there is room for: it tells whether anything is left.
    const wanted = Math.min(pieceBytes, maxBytes - size + 1);
    const { value, done } = await reader.readAtLeast(wanted, new Uint8Array(wanted));
    if (value) {
      pieces.push(value);
      size += value.byteLength;
    }
    if (size > maxBytes) {
      await reader.cancel().catch(() => {});
      return { body: join(pieces, size).subarray(0, maxBytes), truncated: true };
    }
    if (done || value.byteLength < wanted) return { body: join(pieces, size), truncated: false };
  }
}

function join(pieces: readonly Uint8Array[], size: number): Uint8Array {
  if (pieces.length === 1) return pieces[0] as Uint8Array;
  const whole = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.byteLength;
  }
  return whole;
}
