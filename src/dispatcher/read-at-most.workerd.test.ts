import { describe, expect, it } from 'vitest';
import { readAtMost } from './read-at-most.ts';

const bytesOf = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => i % 251);

/** A stream as the runtime's own are, that delivers these pieces one after the other and then ends, or breaks. */
function streamOf(pieces: readonly Uint8Array[], broken?: Error): ReadableStream<Uint8Array> {
  const { readable, writable } = new IdentityTransformStream();
  const writer = writable.getWriter();
  void (async () => {
    for (const piece of pieces) await writer.write(piece);
    await (broken ? writer.abort(broken) : writer.close());
  })().catch(() => {});
  return readable as ReadableStream<Uint8Array>;
}

describe('readAtMost', () => {
  it.each([0, 1, 4_095, 4_096, 4_097, 20_480, 20_481, 100_000])(
    'reads a body of %i bytes to its end',
    async (length) => {
      const body = bytesOf(length);
      expect(await readAtMost(streamOf(length === 0 ? [] : [body]), 1_000_000)).toEqual({ body, truncated: false });
    },
  );

  it('reads a body that comes in small pieces', async () => {
    const pieces = Array.from({ length: 300 }, (_, i) => bytesOf(1 + (i % 40)));
    const { body, truncated } = await readAtMost(streamOf(pieces), 1_000_000);
    expect([...body]).toEqual(pieces.flatMap((piece) => [...piece]));
    expect(truncated).toBe(false);
  });

  it('takes a body that is exactly as long as it may be', async () => {
    for (const length of [10, 4_096, 5_000]) {
      const body = bytesOf(length);
      expect(await readAtMost(streamOf([body]), length)).toEqual({ body, truncated: false });
    }
  });

  it('cuts what is longer, and does not wait for the rest', async () => {
    const { readable, writable } = new IdentityTransformStream();
    // Never closed: its reader goes away.
    void writable
      .getWriter()
      .write(bytesOf(5_001))
      .catch(() => {});
    expect(await readAtMost(readable as ReadableStream<Uint8Array>, 5_000)).toEqual({
      body: bytesOf(5_000),
      truncated: true,
    });
  });

  it('counts what is decompressed', async () => {
    const zipped = new Blob([bytesOf(300_000)]).stream().pipeThrough(new CompressionStream('gzip'));
    const whole = zipped.pipeThrough(new DecompressionStream('gzip')) as ReadableStream<Uint8Array>;
    const { body, truncated } = await readAtMost(whole, 10_000);
    expect({ length: body.byteLength, truncated }).toEqual({ length: 10_000, truncated: true });
  });

  it('does not take a broken body for a whole one', async () => {
    await expect(readAtMost(streamOf([bytesOf(50)], new Error('cut off')), 1_000)).rejects.toThrow('cut off');
  });

  it('takes no body for an empty one', async () => {
    expect(await readAtMost(null, 10)).toEqual({ body: new Uint8Array(), truncated: false });
  });
});
