import { createHmac } from 'node:crypto';
import { expect, test } from 'vitest';
import { sign, verify } from './signature.ts';

const KEY = 'signkey-prod-0123456789abcdef';
const NOW = 1_760_000_000_000;

test('signs body and time with the text of the key, its prefix removed', async () => {
  const expected = createHmac('sha256', '0123456789abcdef').update('{"a":1}').update('1760000000').digest('hex');
  expect(await sign(KEY, '{"a":1}', NOW)).toBe(`t=1760000000&s=${expected}`);
});

test('verifies its own signature and no other', async () => {
  const signature = await sign(KEY, '{"a":1}', NOW);
  expect(await verify(KEY, '{"a":1}', signature, NOW)).toBe(true);
  expect(await verify(KEY, '{"a":2}', signature, NOW)).toBe(false);
  expect(await verify('signkey-prod-ffff', '{"a":1}', signature, NOW)).toBe(false);
  expect(await verify(KEY, '{"a":1}', 'nonsense', NOW)).toBe(false);
});

test('a signature expires after five minutes, in both directions', async () => {
  const signature = await sign(KEY, '', NOW);
  expect(await verify(KEY, '', signature, NOW + 301_000)).toBe(false);
  expect(await verify(KEY, '', signature, NOW - 301_000)).toBe(false);
  expect(await verify(KEY, '', signature, NOW + 299_000)).toBe(true);
});
