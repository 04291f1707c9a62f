import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Watchers } from './watchers.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it('answers who waits for a run when its history has passed the position, and else after the time', async () => {
  const watchers = new Watchers(1);
  const passed = watchers.wait('r', 3, 1_000);
  const late = watchers.wait('r', 9, 1_000);
  watchers.changed('r', 3, []);
  watchers.changed('other', 20, []);
  watchers.changed('r', 4, []);
  expect(await passed).toBe(4);
  vi.advanceTimersByTime(1_000);
  expect(await late).toBeNull();
});

it('answers the first watch of a label at once, and the next one when a run with it has changed', async () => {
  const watchers = new Watchers(1);
  const position = await watchers.waitLabel('l', 0, 1_000);
  expect(position).toBeGreaterThan(0);
  const next = watchers.waitLabel('l', position, 1_000);
  watchers.changed('r1', 1, ['other']);
  watchers.changed('r2', 1, ['other', 'l']);
  const second = await next;
  expect(second).toBeGreaterThan(position);
  watchers.changed('r3', 1, ['l']);
  // What happened between two watches is said too.
  expect(await watchers.waitLabel('l', second, 1_000)).toBeGreaterThan(second);
});

it('has larger positions after a restart, so that who asks with an old one is answered', async () => {
  const before = await new Watchers(1_000).waitLabel('l', 0, 0);
  expect(await new Watchers(1_001).waitLabel('l', before, 1_000)).toBeGreaterThan(before);
});
