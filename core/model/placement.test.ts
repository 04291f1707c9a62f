import { expect, it } from 'vitest';
import { cellOf, IdFactory, isId, timeOf } from './ids.ts';
import { homeCell } from './placement.ts';

it('spreads keys evenly and moves about 1/n of them when a cell is added', () => {
  const keys = Array.from({ length: 10_000 }, (_, i) => `task-${i}`);
  const counts = [0, 0, 0, 0];
  for (const key of keys) counts[homeCell(key, 4)]!++;
  for (const count of counts) expect(Math.abs(count - 2500)).toBeLessThan(250);
  const moved = keys.filter((key) => homeCell(key, 4) !== homeCell(key, 5));
  expect(Math.abs(moved.length - 2000)).toBeLessThan(250);
  expect(moved.every((key) => homeCell(key, 5) === 4)).toBe(true);
});

it('makes ids that are ULIDs, carry their cell and time, and sort by age', () => {
  let n = 0;
  const ids = new IdFactory({ next: () => (n = (n + 0.37) % 1) }, 1023);
  const made = [1000, 1000, 1000, 999, 2000].map((ms) => ids.next(ms));
  expect([...made].sort()).toEqual(made);
  expect(new Set(made).size).toBe(5);
  for (const id of made) expect([isId(id), cellOf(id)]).toEqual([true, 1023]);
  expect(timeOf(made[4]!)).toBe(2000);
});
