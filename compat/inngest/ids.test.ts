import { expect, test } from 'vitest';
import { isId, timeOf } from '../../core/model/ids.ts';
import { newEventId, parseIdSeed, seededId } from './ids.ts';

const SEED = `1760000000000,${Buffer.from([1, 2, 3, 4, 5, 6, 255, 255, 255, 254]).toString('base64')}`;

test('the same seed gives the same ids, each event its own', () => {
  const seed = parseIdSeed(SEED);
  if (!seed) throw new Error('the seed was not read');
  const ids = [1, 2, 3].map((index) => seededId(seed, index));
  expect(new Set(ids).size).toBe(3);
  expect(ids).toEqual([1, 2, 3].map((index) => seededId(seed, index)));
  for (const id of ids) {
    expect(isId(id)).toBe(true);
    expect(timeOf(id)).toBe(1_760_000_000_000);
  }
});

test.each(['', 'x', '1,AAAA', `999999999999999,${'A'.repeat(14)}==`, `-5,${'A'.repeat(14)}==`])(
  '%s is no seed',
  (header) => {
    expect(parseIdSeed(header)).toBeNull();
  },
);

test('fresh ids are valid and ordered', () => {
  const [a, b] = [newEventId(5), newEventId(5)];
  expect(isId(a)).toBe(true);
  expect(a < b).toBe(true);
});
