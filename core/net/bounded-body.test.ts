import { describe, expect, it } from 'vitest';
import { readBounded, readBoundedText } from './bounded-body.ts';

/** Chunks of 1 MB, without end; counts how many were taken. */
function endless(): { stream: ReadableStream<Uint8Array>; taken: () => number } {
  let taken = 0;
  const stream = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      taken++;
      controller.enqueue(new Uint8Array(1_048_576));
    },
  });
  return { stream, taken: () => taken };
}

const streamOf = (text: string): ReadableStream<Uint8Array> => new Response(text).body as ReadableStream<Uint8Array>;

describe('a body of unknown length', () => {
  it('is read whole up to its bound, and is nothing beyond', async () => {
    expect(await readBounded(null, 3)).toEqual(new Uint8Array());
    expect(await readBounded(streamOf('abc'), 3)).toEqual(new TextEncoder().encode('abc'));
    expect(await readBounded(streamOf('abcd'), 3)).toBeNull();
  });

  it('is read whole where a request declares a length that fits, and is held to its bound where it declares none or lies', async () => {
    const posted = (body: string | ReadableStream, length?: number): Request =>
      new Request('http://server/', {
        method: 'POST',
        body,
        headers: length === undefined ? {} : { 'content-length': String(length) },
        ...(typeof body === 'string' ? {} : { duplex: 'half' }),
      });
    for (const request of [posted('äbc', 4), posted('äbc'), posted(streamOf('äbc'))]) {
      expect(await readBounded(request.clone(), 4)).toEqual(new TextEncoder().encode('äbc'));
      expect(await readBoundedText(request, 4)).toBe('äbc');
    }
    for (const request of [posted('äbc', 4), posted('äbc'), posted('äbc', 2)]) {
      expect(await readBounded(request.clone(), 3)).toBeNull();
      expect(await readBoundedText(request, 3)).toBeNull();
    }
  });

  it('is read on for a while, so that its sender hears why, and then broken off', async () => {
    const { stream, taken } = endless();
    expect(await readBounded(stream, 10)).toBeNull();
    expect(taken()).toBeLessThan(110);
  });
});
