import { expect, test } from 'vitest';
import type { WireError } from './errors.ts';
import { RateLimits } from './rate-limits.ts';

function refusal(body: () => void): WireError | null {
  try {
    body();
    return null;
  } catch (error) {
    return error as WireError;
  }
}

test('a burst is counted by the second and told with its own headers', () => {
  const limits = new RateLimits();
  const take = (nowMs: number): void => limits.take('burst', 'default', { burst: 2, daily: null }, nowMs);
  take(10_000);
  take(10_999);
  expect(refusal(() => take(10_999))).toMatchObject({
    status: 429,
    headers: { 'Burst-RateLimit-Limit': '2', 'Burst-RateLimit-Remaining': '0', 'Burst-RateLimit-Reset': '11' },
  });
  expect(refusal(() => take(11_000))).toBeNull();
});

test('messages are counted by the day, a batch as many, and environments apart', () => {
  const limits = new RateLimits();
  const take = (cost: number, environment = 'default', nowMs = 0): WireError | null =>
    refusal(() => limits.take('daily', environment, { burst: null, daily: 10 }, nowMs, cost));
  expect(take(9)).toBeNull();
  expect(take(2)).toMatchObject({
    headers: { 'RateLimit-Limit': '10', 'RateLimit-Remaining': '1', 'RateLimit-Reset': '86400' },
  });
  expect(take(1)).toBeNull();
  expect(take(10, 'other')).toBeNull();
  expect(take(10, 'default', 86_400_000)).toBeNull();
});

test('nothing is counted where no limit is set', () => {
  const limits = new RateLimits();
  for (let i = 0; i < 1000; i++) limits.take('burst', 'default', { burst: null, daily: null }, 0);
});
