import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EXECUTOR_REQUEST, SDK_RESPONSE, START_RESPONSE, WORKER_CONNECT } from './messages.ts';
import { decode, encode, WireError } from './wire.ts';

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

describe('the binary format', () => {
  it('is the one of Protocol Buffers', () => {
    // Field 1, "ab"; field 5, 300; field 7, true: as the format's documentation encodes them.
    const encoded = encode(SDK_RESPONSE, { requestId: 'ab', status: 300, noRetry: true });
    expect([...encoded]).toEqual([0x0a, 2, 0x61, 0x62, 0x28, 0xac, 0x02, 0x38, 1]);
    expect(decode(SDK_RESPONSE, encoded)).toEqual({ requestId: 'ab', status: 300, noRetry: true });
  });

  it('takes messages in messages, once or repeated', () => {
    const message = {
      auth: { sessionToken: 's', syncToken: '' },
      apps: [{ appName: 'a', functions: bytes(91, 93) }, { appName: 'b' }],
      maxConcurrency: 12,
    };
    expect(decode(WORKER_CONNECT, encode(WORKER_CONNECT, message))).toEqual(message);
  });

  it('skips fields that nobody knows, of every wire type', () => {
    const unknown = [
      0xf8, 0x01, 0x96, 0x01, 0xf9, 0x01, 1, 2, 3, 4, 5, 6, 7, 8, 0xfa, 0x01, 1, 9, 0xfd, 0x01, 1, 2, 3, 4,
    ];
    expect(decode(SDK_RESPONSE, bytes(...unknown, 0x0a, 1, 0x61))).toEqual({ requestId: 'a' });
  });

  it('reads a negative number as what its 64 bits say', () => {
    const minusOne = [0x28, ...Array.from({ length: 9 }, () => 0xff), 1];
    expect(decode(SDK_RESPONSE, bytes(...minusOne))).toEqual({ status: -1 });
  });

  it('gives back what it was given', () => {
    fc.assert(
      fc.property(fc.record({ requestId: fc.string(), payload: fc.uint8Array(), stepId: fc.string() }), (message) => {
        expect(decode(EXECUTOR_REQUEST, encode(EXECUTOR_REQUEST, message))).toEqual(message);
      }),
    );
  });

  it('refuses what is cut off, and nothing makes it throw anything else', () => {
    const whole = encode(START_RESPONSE, { connectionId: 'abcdef', gatewayEndpoint: 'ws://x' });
    expect(() => decode(START_RESPONSE, whole.subarray(0, 4))).toThrow(WireError);
    expect(() => decode(SDK_RESPONSE, bytes(0x0b))).toThrow(WireError);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (noise) => {
        try {
          decode(WORKER_CONNECT, noise);
        } catch (error) {
          expect(error).toBeInstanceOf(WireError);
        }
      }),
    );
  });
});
