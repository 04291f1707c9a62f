import fc from 'fast-check';
import { expect, test } from 'vitest';
import { base64, base64Url, bodyFields, bytesOf, fromBase64, payloadOf } from './encoding.ts';

test('bytes survive storage and base 64', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      expect(bytesOf(payloadOf(bytes))).toEqual(bytes);
      expect(fromBase64(base64(bytes))).toEqual(bytes);
      expect(base64(bytes)).toBe(Buffer.from(bytes).toString('base64'));
      expect(base64Url(bytes)).toBe(Buffer.from(bytes).toString('base64url'));
    }),
  );
});

test('a byte order mark is part of the body', () => {
  const bytes = Uint8Array.of(0xef, 0xbb, 0xbf, 0x61);
  expect(bytesOf(payloadOf(bytes))).toEqual(bytes);
});

test('text shows as body, other bytes as bodyBase64, nothing as nothing', () => {
  expect(bodyFields('wörld')).toEqual({ body: 'wörld' });
  expect(bodyFields(Uint8Array.of(0xff))).toEqual({ bodyBase64: '/w==' });
  expect(bodyFields('', 'responseBody')).toEqual({});
  expect(bodyFields(null)).toEqual({});
});

test('large bodies are encoded too', () => {
  expect(base64('x'.repeat(200_000))).toBe(Buffer.from('x'.repeat(200_000)).toString('base64'));
});

test('what is not base 64 is null', () => {
  expect(fromBase64('%%%')).toBeNull();
});
