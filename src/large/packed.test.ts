import { expect, it } from 'vitest';
import { isLarge, isTooLarge, pack, unpack } from './packed.ts';

it('brings back what was packed, bytes and text alike', async () => {
  const value = [
    { type: 'start', spec: { input: new Uint8Array([0, 255, 128]), meta: '{"$bytes":"AA=="}', n: 1 } },
    'é\u0000😀',
    null,
  ];
  expect(await unpack(pack(value))).toEqual(value);
});

it('knows the refusal of the runtime and nothing else', () => {
  expect(
    isTooLarge(
      new Error(
        'Serialized RPC arguments or return values are limited to 32MiB, but the size of this value was: 36001440 bytes',
      ),
    ),
  ).toBe(true);
  expect(isTooLarge(new Error('Network connection lost.'))).toBe(false);
  expect(isTooLarge('Serialized RPC arguments')).toBe(false);
});

it('counts text as two bytes a character and looks into what is nested', () => {
  expect(isLarge({ ops: [{ data: 'x'.repeat(60) }] }, 100)).toBe(true);
  expect(isLarge({ ops: [{ data: 'x'.repeat(40) }] }, 100)).toBe(false);
  expect(isLarge([new Uint8Array(101)], 100)).toBe(true);
});
